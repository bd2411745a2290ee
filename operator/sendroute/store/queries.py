"""The queries of commands, each in one transaction."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, and_, func, not_, or_, select

from sendroute.model.current import DomainState
from sendroute.model.desired import AccountKey
from sendroute.model.records import (
    ExplainFacts,
    RouteFilter,
    RouteGroup,
    RouteRow,
    StoredProfile,
    StoreStatus,
)
from sendroute.store.bulk import chunks, matches_any, plain_rows
from sendroute.store.history import given_by
from sendroute.store.relays import relays
from sendroute.store.states import (
    DOMAIN_COLUMNS,
    account_key,
    domain_state,
    logins_of,
    maybe_route_of,
    numbered,
    platform_of,
    profile_of,
)
from sendroute.store.tables import (
    account,
    domain,
    platform,
    profile,
    revision,
    store,
    utc,
)

_ROUTES = (
    select(
        *(domain.c[name] for name in DOMAIN_COLUMNS),
        domain.c.name,
        account.c.namespace,
        account.c.name.label("owner"),
        revision.c.number,
        revision.c.at,
    )
    .join_from(domain, account, domain.c.account_id == account.c.id)
    .join(revision, domain.c.since == revision.c.id, isouter=True)
)


def accounts(connection: Connection) -> list[AccountKey]:
    """The accounts, in order."""
    named = select(account.c.namespace, account.c.name, account.c.plan)
    rows = connection.execute(named.order_by(account.c.namespace, account.c.name))
    return [account_key(*row) for row in rows]


def logins(connection: Connection) -> dict[AccountKey, tuple[str, ...]]:
    """The logins of each account that specifies any."""
    named = select(account.c.namespace, account.c.name, account.c.logins)
    rows = connection.execute(named.where(account.c.logins.is_not(None)))
    return {account_key(row.namespace, row.name): logins_of(row.logins) or () for row in rows}


def all_routes(
    connection: Connection,
    chosen: RouteFilter = RouteFilter(),  # noqa: B008 - it is frozen
) -> Iterator[RouteRow]:
    """The domains of a filter, in the order of accounts and names, some thousands at a time."""
    make = _RowMaker()
    statement = _filtered(connection, chosen)
    ordered = statement.order_by(account.c.namespace, account.c.name, domain.c.name)
    for rows in plain_rows(connection, ordered):
        yield from map(make.row, rows)


def route_groups(
    connection: Connection,
    chosen: RouteFilter = RouteFilter(),  # noqa: B008 - it is frozen
) -> Iterator[RouteGroup]:
    """The domains of a filter in groups of equal account and state, in no order."""
    matching = _filtered(connection, chosen).subquery()
    same = [matching.c[name] for name in (*DOMAIN_COLUMNS, "namespace", "owner")]
    longest = func.max(func.length(matching.c.name))
    for row in connection.execute(select(*same, longest).group_by(*same)):
        *state, namespace, owner, length = row
        yield RouteGroup(account_key(namespace, owner), domain_state(tuple(state)), length)


def routes(
    connection: Connection,
    domains: Collection[str],
    only: AccountKey | None = None,
    through: str | None = None,
) -> Iterator[RouteRow]:
    """As :func:`all_routes`, for some domains in the order of names. A domain that is not in the
    store, or does not match, is left out."""
    make = _RowMaker()
    # Sorted, so that the chunks together are in the order of names.
    for names in chunks(sorted(set(domains))):
        named = _filtered(connection, RouteFilter(only, through, names=tuple(names)))
        named = named.order_by(domain.c.name)
        for rows in plain_rows(connection, named):
            yield from map(make.row, rows)


def _filtered(connection: Connection, chosen: RouteFilter) -> Select[Any]:
    statement = _ROUTES
    if chosen.account is not None:
        namespace, name = chosen.account
        statement = statement.where(account.c.namespace == namespace, account.c.name == name)
    if chosen.namespace is not None:
        statement = statement.where(account.c.namespace == chosen.namespace)
    if chosen.profile is not None:
        statement = statement.where(domain.c.profile == chosen.profile)
    if chosen.origin is not None:
        statement = statement.where(domain.c.origin == chosen.origin.value)
    if chosen.names or chosen.patterns:
        among = matches_any(connection, domain.c.name, list(chosen.names))
        patterns = map(_like, chosen.patterns)
        statement = statement.where(
            or_(among, *(domain.c.name.like(pattern, escape="\\") for pattern in patterns))
        )
    return statement


_LIKE = str.maketrans({"*": "%", "?": "_", "%": "\\%", "_": "\\_", "\\": "\\\\"})


def _like(pattern: str) -> str:
    return pattern.translate(_LIKE)


class _RowMaker:
    """Converts tuples of the driver to rows. A million domains share a few states, accounts and
    times, so equal values are one object."""

    _MAX = 10_000

    def __init__(self) -> None:
        self._states: dict[Any, DomainState] = {}
        self._accounts: dict[tuple[str, str], AccountKey] = {}
        self._times: dict[Any, datetime] = {}

    def row(self, columns: Any) -> RouteRow:
        of_state, (name, namespace, owner, number, at) = columns[:_STATE], columns[_STATE:]
        revision_number = numbered(number)
        state = self._states.get(of_state)
        if state is None:
            state = _cached(self._states, of_state, domain_state(of_state))
        key = self._accounts.get((namespace, owner))
        if key is None:
            key = _cached(self._accounts, (namespace, owner), account_key(namespace, owner))
        since = self._times.get(at)
        if since is None:
            since = _cached(self._times, at, utc(at))
        return RouteRow(key, name, state, since, revision_number)


_STATE = len(DOMAIN_COLUMNS)
_K = TypeVar("_K")
_V = TypeVar("_V")


def _cached(values: dict[_K, _V], key: _K, value: _V) -> _V:
    if len(values) > _RowMaker._MAX:
        values.clear()
    values[key] = value
    return value


def explain_facts(connection: Connection, name: str) -> ExplainFacts:
    """What an explanation needs to know about a domain; only the platform if it is unknown."""
    now = connection.execute(select(store.c.revision)).scalar_one()
    row_of_platform = connection.execute(select(platform)).one_or_none()
    current = platform_of(row_of_platform.spec) if row_of_platform else None
    version = row_of_platform.version if row_of_platform else 0
    row = next(routes(connection, (name,)), None)
    if row is None:
        return ExplainFacts(now, current, version)
    key = row.account
    owner = connection.execute(
        select(account).where(account.c.namespace == key.namespace, account.c.name == key.name)
    ).one()
    account_key(owner.namespace, owner.name, owner.plan)
    through = row.state.route.profile
    return ExplainFacts(
        now,
        current,
        version,
        row,
        owner.plan,
        maybe_route_of(owner.default_kind, owner.default_profile),
        next(profiles(connection, key, through), None) if through else None,
        given_by(connection, row),
        logins_of(owner.logins),
    )


def profiles(
    connection: Connection, only: AccountKey | None = None, name: str | None = None
) -> Iterator[StoredProfile]:
    """The profiles of an account, or with a name, or all, in the order of accounts and names."""
    statement = (
        select(profile, account.c.namespace, account.c.name.label("owner"))
        .join_from(profile, account, profile.c.account_id == account.c.id)
        .order_by(account.c.namespace, account.c.name, profile.c.name)
    )
    if only is not None:
        statement = statement.where(
            account.c.namespace == only.namespace, account.c.name == only.name
        )
    if name is not None:
        statement = statement.where(profile.c.name == name)
    for row in connection.execute(statement):
        key = account_key(row.namespace, row.owner)
        yield StoredProfile(key, row.name, row.id, row.version, profile_of(row.spec))


def status(connection: Connection) -> StoreStatus:
    """The store's revision, its counts and its relays."""
    head = connection.execute(
        select(store, revision.c.at).join_from(
            store, revision, store.c.revision == revision.c.number
        )
    ).one()
    profiles, domains = (
        connection.execute(select(func.count()).select_from(table)).scalar_one()
        for table in (profile, domain)
    )
    agrees = and_(
        domain.c.kind == domain.c.declared_kind,
        domain.c.profile.is_not_distinct_from(domain.c.declared_profile),
    )
    shadowed = select(func.count()).where(
        domain.c.shadow.is_not(None), domain.c.declared_kind.is_not(None), not_(agrees)
    )
    has_domains = select(domain.c.name).where(domain.c.account_id == account.c.id).exists()
    accounts_without_logins = select(func.count()).select_from(account)
    accounts_without_logins = accounts_without_logins.where(account.c.logins.is_(None), has_domains)
    return StoreStatus(
        head.lineage,
        head.revision,
        head.created_at,
        head.at,
        accounts=len(accounts(connection)),
        profiles=profiles,
        domains=domains,
        accounts_without_logins=connection.execute(accounts_without_logins).scalar_one(),
        shadowed=connection.execute(shadowed).scalar_one(),
        relays=relays(connection),
    )
