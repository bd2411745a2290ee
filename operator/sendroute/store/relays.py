"""What relays read of the store, whole or since the revision that they serve, and what they report.

A change of one domain must reach a relay fast in a store of a million domains. So the changed
domains are found by the history, which an index orders by revision, and not by scanning domains.
"""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    Text,
    and_,
    delete,
    func,
    or_,
    select,
    type_coerce,
    union_all,
)

from sendroute.model.change import Kind
from sendroute.model.owner import PLATFORM, relays_of
from sendroute.model.platform import Platform
from sendroute.model.profile import Encryption
from sendroute.model.provenance import Head
from sendroute.model.records import DomainRoute, Endpoint, ExplainFacts, RelayRow, RelayUpdate
from sendroute.model.route import RouteKind
from sendroute.model.secret import SecretBinding
from sendroute.store import revisions
from sendroute.store.bulk import insert_into, plain_rows
from sendroute.store.errors import WrongValueError
from sendroute.store.history import STORE_KIND
from sendroute.store.states import history_document, logins_of, member_of, platform_of, profile_of
from sendroute.store.tables import (
    account,
    domain,
    endpoint,
    history,
    platform,
    profile,
    relay,
    revision,
    store,
    switch,
    switched,
)

# With more revisions, reading everything costs less than finding what they changed.
_MAX_REVISIONS = 5_000

# After these, any domain may have another nexthop.
_CHANGES_ALL = (STORE_KIND, Kind.PLATFORM.value)


def update_since(connection: Connection, lineage: str | None, served: Head | None) -> RelayUpdate:
    """What changed since a revision.

    Args:
        connection: a read transaction, which must last while the update is read.
        lineage: that of the store whose revision is served.
        served: the revision that is served; None for none.

    Returns:
        The changes; everything if the store does not contain that revision, because it was restored
        or replaced.
    """
    of_store = connection.execute(select(store.c.lineage)).scalar_one()
    head = revisions.head_of(connection)
    row = connection.execute(select(platform)).one_or_none()
    facts = ExplainFacts(
        head.revision,
        platform_of(row.spec) if row is not None else None,
        row.version if row is not None else 0,
    )
    ids = _ids_since(connection, served) if lineage == of_store and served is not None else None
    if ids is None:
        endpoints = _endpoints(connection, facts.platform, endpoint.c.retired.is_(None))
        return RelayUpdate(of_store, head, True, facts, endpoints, _domains(connection, _ALL))
    touched = or_(endpoint.c.made.in_(ids), endpoint.c.retired.in_(ids))
    return RelayUpdate(
        of_store,
        head,
        False,
        facts,
        _endpoints(connection, facts.platform, touched),
        _domains(connection, _changed_domains(connection, ids)) if ids else (),
    )


def _ids_since(connection: Connection, served: Head) -> list[int] | None:
    """The ids of the revisions after the served one; None if everything must be read."""
    number = revisions.number_of(connection, served)
    if number is None:
        return None
    later = select(revision.c.id).where(revision.c.number > number).limit(_MAX_REVISIONS + 1)
    ids = list(connection.execute(later).scalars())
    if len(ids) > _MAX_REVISIONS:
        return None
    everything = select(history.c.seq).where(
        history.c.revision.in_(ids), history.c.kind.in_(_CHANGES_ALL)
    )
    if ids and connection.execute(everything.limit(1)).first() is not None:
        return None
    return ids


_DOMAIN = (
    type_coerce(domain.c.kind, Text),
    type_coerce(profile.c.id, Integer),
    type_coerce(profile.c.version, Integer),
    type_coerce(account.c.logins, Text),
)
_OF_PROFILE = and_(profile.c.account_id == domain.c.account_id, profile.c.name == domain.c.profile)
_OF_HISTORY = and_(account.c.namespace == history.c.namespace, account.c.name == history.c.account)
_ALL = (
    select(domain.c.name, *_DOMAIN)
    .join_from(domain, profile, _OF_PROFILE, isouter=True)
    .join(account, account.c.id == domain.c.account_id, isouter=True)
    .order_by(domain.c.name)
)


def _accounts_with_other_logins(connection: Connection, ids: Collection[int]) -> set[int]:
    """The accounts whose logins changed. Other changes of an account concern no relay."""
    entries = (
        select(account.c.id, history.c.before, history.c.after)
        .join_from(history, account, _OF_HISTORY)
        .where(history.c.revision.in_(ids), history.c.kind == Kind.ACCOUNT.value)
        .where(history.c.before.is_not(None), history.c.after.is_not(None))
    )
    return {
        number
        for number, before, after in connection.execute(entries)
        if _submission(before) != _submission(after)
    }


def _submission(text: str) -> object:
    return history_document(Kind.ACCOUNT.value, text).get("submission")


def _changed_domains(connection: Connection, ids: Collection[int]) -> Select[Any]:
    """The domains that were changed, deleted, are sent through a changed profile, or have other
    logins; some may be there twice."""
    of_domain = select(history.c.name).where(
        history.c.revision.in_(ids), history.c.kind == Kind.DOMAIN.value
    )
    of_switch = (
        select(switched.c.name)
        .join(switch, switched.c.switch == switch.c.id)
        .where(switch.c.revision.in_(ids))
    )
    of_profile = (
        select(domain.c.name)
        .select_from(history)
        .join(account, _OF_HISTORY)
        .join(domain, and_(domain.c.account_id == account.c.id, domain.c.profile == history.c.name))
        .where(history.c.revision.in_(ids), history.c.kind == Kind.PROFILE.value)
    )
    of_account = select(domain.c.name).where(
        domain.c.account_id.in_(_accounts_with_other_logins(connection, ids))
    )
    names = union_all(of_domain, of_switch, of_profile, of_account).subquery("names")
    return (
        select(names.c.name, *_DOMAIN)
        .join_from(names, domain, domain.c.name == names.c.name, isouter=True)
        .join(profile, _OF_PROFILE, isouter=True)
        .join(account, account.c.id == domain.c.account_id, isouter=True)
    )


_KINDS: dict[str | None, RouteKind | None] = {
    None: None,
    **{kind.value: kind for kind in RouteKind},
}


def _domains(connection: Connection, statement: Select[Any]) -> Iterator[DomainRoute]:
    decode = lru_cache(1_000)(logins_of)  # domains of one account have the same logins
    for rows in plain_rows(connection, statement):
        for name, kind, number, version, logins in rows:
            if kind not in _KINDS:
                raise WrongValueError("not a RouteKind")
            through = None if number is None else (number, version)
            yield DomainRoute(name, _KINDS[kind], through, decode(logins) or ())


_ENDPOINTS = select(
    endpoint.c.profile,
    endpoint.c.version,
    endpoint.c.namespace,
    endpoint.c.account,
    endpoint.c.name,
    endpoint.c.host,
    endpoint.c.port,
    endpoint.c.encryption,
    endpoint.c.credential,
    endpoint.c.made,
    endpoint.c.retired,
    type_coerce(profile.c.spec, Text),
).join_from(endpoint, profile, profile.c.id == endpoint.c.profile, isouter=True)


def _endpoints(
    connection: Connection, current: Platform | None, where: ColumnElement[bool]
) -> Iterator[tuple[Endpoint, bool]]:
    """Endpoints, each with whether its mail is sent with a credential. Their ``made`` and
    ``retired`` are ids of rows: an agent asks only whether an endpoint is retired."""
    relays = relays_of(current)
    for rows in plain_rows(connection, _ENDPOINTS.where(where)):
        for number, version, *bound, token, made, retired, spec in rows:
            binding = _binding(*bound)
            if binding.owner is PLATFORM:
                of_platform = relays.get(binding.profile)
                signs_in = of_platform is not None and of_platform.secret is not None
            else:
                signs_in = spec is not None and profile_of(spec).secret is not None
            yield Endpoint(number, version, binding, token, made, retired), signs_in


def _binding(
    namespace: str, owner: str, name: str, host: str, port: int, encryption: str
) -> SecretBinding:
    return SecretBinding(namespace, owner, name, host, port, member_of(Encryption, encryption))


def _now(connection: Connection) -> datetime:
    """The present time, by the clock that all relays share: that of the server, or of the host of a
    SQLite file."""
    if connection.dialect.name == "postgresql":
        now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        return now.astimezone(UTC)
    return datetime.now(UTC)


def relays(connection: Connection) -> tuple[RelayRow, ...]:
    """The relays, in the order of their names."""
    following = revision.alias()
    statement = (
        select(relay, type_coerce(following.c.at, revision.c.at.type).label("behind_since"))
        .join_from(relay, following, following.c.number == relay.c.revision + 1, isouter=True)
        .order_by(relay.c.name)
    )
    now = _now(connection)
    return tuple(
        RelayRow(
            row.name,
            row.revision,
            row.seen_at,
            (now - row.seen_at).total_seconds(),
            row.behind_since,
        )
        for row in connection.execute(statement)
    )


def report(connection: Connection, name: str, served: Head) -> bool:
    """Record that a relay serves a revision, and was seen now. Returns False, and writes nothing,
    if the store does not contain that revision."""
    number = revisions.number_of(connection, served)
    if number is None:
        return False
    values = {"revision": number, "seen_at": _now(connection)}
    new = insert_into(connection, relay).values(name=name, **values)
    connection.execute(new.on_conflict_do_update(index_elements=[relay.c.name], set_=values))
    return True


def forget(connection: Connection, name: str) -> bool:
    """Delete what is known of a relay. Returns False if nothing is."""
    return connection.execute(delete(relay).where(relay.c.name == name)).rowcount > 0
