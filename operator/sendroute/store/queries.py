"""What commands ask the record, each in one consistent read."""

from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import Connection, and_, func, not_, select

from sendroute.model.desired import AccountKey
from sendroute.store.bulk import chunks
from sendroute.store.history import given_by
from sendroute.store.records import (
    ExplainFacts,
    RelayRow,
    RouteRow,
    Status,
    StoredProfile,
)
from sendroute.store.states import (
    DOMAIN_COLUMNS,
    domain_state,
    maybe_route_of,
    platform_of,
    profile_of,
)
from sendroute.store.tables import (
    account,
    domain,
    platform,
    profile,
    relay,
    revision,
    store,
)

_ROUTES = (
    select(
        *(domain.c[name] for name in DOMAIN_COLUMNS),
        domain.c.name,
        revision.c.number.label("since"),
        revision.c.at,
        account.c.namespace,
        account.c.name.label("owner"),
    )
    .join_from(domain, account, domain.c.account_id == account.c.id)
    .join(revision, domain.c.since == revision.c.id)
    .order_by(domain.c.name)
)


def accounts(connection: Connection) -> list[AccountKey]:
    found = select(account.c.namespace, account.c.name).order_by(
        account.c.namespace, account.c.name
    )
    return [AccountKey(*row) for row in connection.execute(found)]


def routes(
    connection: Connection,
    domains: Collection[str],
    only: AccountKey | None,
    through: str | None,
) -> Iterator[RouteRow]:
    desired = _ROUTES
    if only is not None:
        desired = desired.where(account.c.namespace == only.namespace, account.c.name == only.name)
    if through is not None:
        desired = desired.where(domain.c.profile == through)
    if not domains:
        yield from (_route_row(row) for row in connection.execute(desired))
    # Sorted, so that the parts follow each other as one answer would.
    for some in chunks(sorted(set(domains))):
        named = connection.execute(desired.where(domain.c.name.in_(some)))
        yield from (_route_row(row) for row in named)


def _route_row(row: Any) -> RouteRow:
    return RouteRow(
        AccountKey(row.namespace, row.owner),
        row.name,
        domain_state(tuple(row)[: len(DOMAIN_COLUMNS)]),
        row.at,
        row.since,
    )


def explain_facts(connection: Connection, name: str) -> ExplainFacts:
    now = connection.execute(select(store.c.revision)).scalar_one()
    shown = connection.execute(select(platform)).one_or_none()
    current = platform_of(shown.spec) if shown else None
    version = shown.version if shown else 0
    row = next(routes(connection, (name,), None, None), None)
    if row is None:
        return ExplainFacts(now, current, version)
    key = row.account
    owner = connection.execute(
        select(account).where(account.c.namespace == key.namespace, account.c.name == key.name)
    ).one()
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
    )


def profiles(
    connection: Connection, only: AccountKey | None = None, name: str | None = None
) -> Iterator[StoredProfile]:
    desired = (
        select(profile, account.c.namespace, account.c.name.label("owner"))
        .join_from(profile, account, profile.c.account_id == account.c.id)
        .order_by(account.c.namespace, account.c.name, profile.c.name)
    )
    if only is not None:
        desired = desired.where(account.c.namespace == only.namespace, account.c.name == only.name)
    if name is not None:
        desired = desired.where(profile.c.name == name)
    for row in connection.execute(desired):
        key = AccountKey(row.namespace, row.owner)
        yield StoredProfile(key, row.name, row.id, row.version, profile_of(row.spec))


def relays(connection: Connection) -> tuple[RelayRow, ...]:
    rows = connection.execute(select(relay).order_by(relay.c.name))
    return tuple(RelayRow(row.name, row.revision, row.seen_at) for row in rows)


def status(connection: Connection) -> Status:
    head = connection.execute(
        select(store, revision.c.at).join_from(
            store, revision, store.c.revision == revision.c.number
        )
    ).one()
    accounts, current, domains = (
        connection.execute(select(func.count()).select_from(table)).scalar_one()
        for table in (account, profile, domain)
    )
    agrees = and_(
        domain.c.kind == domain.c.declared_kind,
        domain.c.profile.is_not_distinct_from(domain.c.declared_profile),
    )
    shadowed = select(func.count()).where(
        domain.c.shadow.is_not(None), domain.c.declared_kind.is_not(None), not_(agrees)
    )
    return Status(
        head.lineage,
        head.revision,
        head.created_at,
        head.at,
        accounts=accounts,
        profiles=current,
        domains=domains,
        shadowed=connection.execute(shadowed).scalar_one(),
        relays=relays(connection),
    )
