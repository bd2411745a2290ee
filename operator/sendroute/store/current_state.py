"""Reads the current state, of all or some accounts, from which a plan is made."""

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Connection, Select, func, select

from sendroute.model.current import AccountState, Current, CurrentAccount, DomainState, RanApplyAll
from sendroute.model.desired import AccountKey, ProfileName
from sendroute.model.profile import Profile
from sendroute.model.route import RouteKind
from sendroute.store.bulk import chunks, matches_any, plain_rows, restricted
from sendroute.store.states import (
    DOMAIN_COLUMNS,
    account_key,
    domain_state,
    logins_of,
    maybe_route_of,
    numbered,
    platform_of,
    profile_of,
    route_of,
)
from sendroute.store.tables import account, apply_all, domain, platform, profile, revision, store

# Domains, or profiles, that one statement asks for.
_ASKED = 20_000


def read(connection: Connection, only: Collection[AccountKey] | None) -> Current:
    """Read every account, or those in ``only`` at a cost that depends only on these. A deleted
    account is included if an apply-all ever ran in it, because its ids are kept forever."""
    head = connection.execute(select(store.c.lineage, store.c.revision)).one()
    spec = connection.execute(select(platform.c.spec)).scalar()
    keys: dict[int, AccountKey] = {}
    states: dict[AccountKey, tuple[int, AccountState]] = {}
    # An outer join, because a row without its revision must not look like no row.
    fenced = select(account, revision.c.number).join_from(
        account, revision, account.c.revision == revision.c.id, isouter=True
    )
    for statement in restricted(fenced, account.c.namespace, account.c.name, only):
        for row in connection.execute(statement):
            key = account_key(row.namespace, row.name, row.plan)
            keys[row.id] = key
            default = maybe_route_of(row.default_kind, row.default_profile)
            states[key] = (
                numbered(row.number),
                AccountState(row.plan, default, logins_of(row.logins)),
            )
    profiles = _profiles(connection, keys, all_accounts=only is None)
    domains = _domains(connection, keys, all_accounts=only is None)
    ran = _apply_alls(connection, only)
    accounts = {
        key: CurrentAccount(
            key, revision, state, profiles.get(key, {}), domains[key], ran.pop(key, {})
        )
        for key, (revision, state) in states.items()
    }
    for key, ids in ran.items():
        accounts[key] = CurrentAccount(key, 0, None, completed_apply_alls=ids)
    current = None if spec is None else platform_of(spec)
    return Current(head.lineage, head.revision, current, accounts)


def _profiles(
    connection: Connection, keys: dict[int, AccountKey], *, all_accounts: bool
) -> dict[AccountKey, dict[str, Profile]]:
    profiles: dict[AccountKey, dict[str, Profile]] = {}
    every = select(profile.c.account_id, profile.c.name, profile.c.spec)
    chunked = (every.where(profile.c.account_id.in_(ids)) for ids in chunks(keys))
    for statement in [every] if all_accounts else chunked:
        for row in connection.execute(statement):
            profiles.setdefault(keys[row.account_id], {})[row.name] = profile_of(row.spec)
    return profiles


def _apply_alls(
    connection: Connection, only: Collection[AccountKey] | None
) -> dict[AccountKey, dict[str, RanApplyAll]]:
    """Those that ran, by account, in the order in which they ran."""
    ran: dict[AccountKey, dict[str, RanApplyAll]] = {}
    every = select(apply_all).order_by(apply_all.c.revision, apply_all.c.id)
    for statement in restricted(every, apply_all.c.namespace, apply_all.c.account, only):
        for row in connection.execute(statement):
            key = account_key(row.namespace, row.account)
            record = RanApplyAll(route_of(row.kind, row.profile), row.domains)
            ran.setdefault(key, {})[row.id] = record
    return ran


def _domains(
    connection: Connection, keys: dict[int, AccountKey], *, all_accounts: bool
) -> dict[AccountKey, dict[str, DomainState]]:
    columns = select(
        domain.c.account_id, domain.c.name, *(domain.c[name] for name in DOMAIN_COLUMNS)
    )
    domains: dict[int, dict[str, DomainState]] = {number: {} for number in keys}
    if all_accounts:
        _fill(connection, columns, domains)
    else:
        for ids in chunks(keys):
            _fill(connection, columns.where(domain.c.account_id.in_(ids)), domains)
    return {key: domains[number] for number, key in keys.items()}


def _fill(
    connection: Connection, statement: Select[Any], domains: dict[int, dict[str, DomainState]]
) -> None:
    """A million domains share a few states, so equal columns give the same object. Reading plain
    tuples from the driver's cursor takes a third of the time."""
    states: dict[Any, DomainState] = {}
    for rows in plain_rows(connection, statement):
        for row in rows:
            columns = row[2:]
            state = states.get(columns)
            if state is None:
                state = states[columns] = domain_state(columns)
            domains[row[0]][row[1]] = state


def holders(connection: Connection, domains: Iterable[str]) -> dict[str, AccountKey]:
    """The account that holds each of these domains; a domain that no account holds is left out."""
    accounts: dict[str, AccountKey] = {}
    owned = select(domain.c.name, account.c.namespace, account.c.name.label("owner")).join_from(
        domain, account, domain.c.account_id == account.c.id
    )
    for chunk in chunks(domains, _ASKED):
        for row in connection.execute(owned.where(matches_any(connection, domain.c.name, chunk))):
            accounts[row.name] = account_key(row.namespace, row.owner)
    return accounts


def profile_holders(
    connection: Connection, profiles: Collection[ProfileName]
) -> dict[ProfileName, frozenset[AccountKey]]:
    """The accounts of its namespace that hold each of these profiles; a profile that no account
    holds is left out."""
    holding: dict[ProfileName, set[AccountKey]] = {}
    owned = select(profile.c.name, account.c.namespace, account.c.name.label("owner")).join_from(
        profile, account, profile.c.account_id == account.c.id
    )
    by_namespace: dict[str, list[str]] = {}
    for asked in sorted(profiles):
        by_namespace.setdefault(asked.namespace, []).append(asked.name)
    for namespace, names in by_namespace.items():
        of_namespace = owned.where(account.c.namespace == namespace)
        for chunk in chunks(names, _ASKED):
            for row in connection.execute(
                of_namespace.where(matches_any(connection, profile.c.name, chunk))
            ):
                name = ProfileName(namespace, row.name)
                key = AccountKey(namespace, row.owner)
                holding.setdefault(name, set()).add(key)
    return {name: frozenset(keys) for name, keys in holding.items()}


def domains_by_account(connection: Connection) -> dict[AccountKey, int]:
    """The number of domains of each account; an account that holds none is left out."""
    sizes = select(domain.c.account_id, func.count().label("domains")).group_by(domain.c.account_id)
    by_id = sizes.subquery()
    rows = connection.execute(
        select(account.c.namespace, account.c.name, by_id.c.domains).join_from(
            by_id, account, by_id.c.account_id == account.c.id
        )
    )
    return {account_key(namespace, name): number for namespace, name, number in rows}


def accounts_on_managed(connection: Connection) -> frozenset[AccountKey]:
    """The accounts that hold a domain that is sent through the managed relay."""
    through = select(domain.c.account_id).where(domain.c.kind == RouteKind.MANAGED)
    rows = connection.execute(
        select(account.c.namespace, account.c.name).where(account.c.id.in_(through))
    )
    return frozenset(account_key(namespace, name) for namespace, name in rows)


def domain_count(connection: Connection) -> int:
    """The number of domains in the store, for the guards of a whole change."""
    return connection.execute(select(func.count()).select_from(domain)).scalar_one()
