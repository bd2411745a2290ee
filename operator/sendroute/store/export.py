"""Reads what the manifests of a store's accounts declare, account by account, for an export."""

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby, pairwise
from operator import itemgetter

from sqlalchemy import Connection, func, select

from sendroute.model.current import AccountState, DomainState
from sendroute.model.export import AccountExport, object_name
from sendroute.model.platform import Platform
from sendroute.model.profile import Profile
from sendroute.store.bulk import chunks, plain_rows
from sendroute.store.states import (
    DOMAIN_COLUMNS,
    account_key,
    domain_state,
    logins_of,
    maybe_route_of,
    platform_of,
    profile_of,
)
from sendroute.store.tables import account, domain, platform, profile


def exported_platform(connection: Connection) -> Platform | None:
    """The platform, or None if none has been applied yet."""
    spec = connection.execute(select(platform.c.spec)).scalar()
    return None if spec is None else platform_of(spec)


def ambiguous_names(connection: Connection) -> frozenset[tuple[str, str]]:
    """The namespaces and object names that several domains share."""
    ambiguous: set[tuple[str, str]] = set()
    names = (
        select(account.c.namespace, domain.c.name)
        .join_from(account, domain, domain.c.account_id == account.c.id)
        .order_by(account.c.namespace)
    )
    rows = (row for batch in plain_rows(connection, names) for row in batch)
    for namespace, of_namespace in groupby(rows, key=itemgetter(0)):
        # A sorted list of hashes: a set of a million names would take five times the memory.
        hashes = sorted(hash(object_name(name)) for _, name in of_namespace)
        shared = {first for first, second in pairwise(hashes) if first == second}
        if shared:
            ambiguous.update(_with_hashes(connection, namespace, shared))
    return frozenset(ambiguous)


def _with_hashes(
    connection: Connection, namespace: str, hashes: set[int]
) -> Iterator[tuple[str, str]]:
    names = select(domain.c.name).join_from(account, domain, domain.c.account_id == account.c.id)
    counts: Counter[str] = Counter()
    for rows in plain_rows(connection, names.where(account.c.namespace == namespace)):
        counts.update(name for (full,) in rows if hash(name := object_name(full)) in hashes)
    return ((namespace, name) for name, count in counts.items() if count > 1)


def shared_profiles(connection: Connection) -> frozenset[tuple[str, str]]:
    """The namespaces and profile names that several accounts have. Only one of them can have a
    document of its own; the others are defined inline."""
    name = (account.c.namespace, profile.c.name)
    shared = (
        select(*name)
        .join_from(account, profile, profile.c.account_id == account.c.id)
        .group_by(*name)
        .having(func.count() > 1)
    )
    return frozenset((namespace, name) for namespace, name in connection.execute(shared))


def exported_accounts(connection: Connection) -> Iterator[AccountExport]:
    """The accounts, in the order of their names."""
    domains = _domains_by_account(connection)
    following = next(domains, None)
    every = select(account).order_by(account.c.namespace, account.c.name)
    for rows in chunks(connection.execute(every).all()):
        profiles = _profiles(connection, [row.id for row in rows])
        for row in rows:
            key = account_key(row.namespace, row.name, row.plan)
            account_domains: Iterator[tuple[str, DomainState]] = iter(())
            if following is not None and following[0] == row.id:
                account_domains = following[1]
            yield AccountExport(
                key,
                AccountState(
                    row.plan,
                    maybe_route_of(row.default_kind, row.default_profile),
                    logins_of(row.logins),
                ),
                profiles.get(row.id, {}),
                account_domains,
            )
            if following is not None and following[0] == row.id:
                following = next(domains, None)


def _profiles(connection: Connection, ids: list[int]) -> dict[int, dict[str, Profile]]:
    profiles: dict[int, dict[str, Profile]] = {}
    rows = select(profile).where(profile.c.account_id.in_(ids)).order_by(profile.c.name)
    for row in connection.execute(rows):
        profiles.setdefault(row.account_id, {})[row.name] = profile_of(row.spec)
    return profiles


def _domains_by_account(
    connection: Connection,
) -> Iterator[tuple[int, Iterator[tuple[str, DomainState]]]]:
    ordered = (
        select(account.c.id, domain.c.name, *(domain.c[column] for column in DOMAIN_COLUMNS))
        .join_from(account, domain, domain.c.account_id == account.c.id)
        .order_by(account.c.namespace, account.c.name, domain.c.name)
    )
    rows = (row for batch in plain_rows(connection, ordered) for row in batch)
    state_of = lru_cache(10_000)(domain_state)  # a million domains share a few states
    for account_id, of_account in groupby(rows, key=itemgetter(0)):
        yield account_id, ((row[1], state_of(row[2:])) for row in of_account)
