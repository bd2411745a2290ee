"""Fills an empty store with what a lock file holds. The schema refuses what does not fit."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Table, insert, update

from sendroute.store import revisions
from sendroute.store.bulk import chunks, execute_many
from sendroute.store.going_back import IDS, VERSIONS
from sendroute.store.lockfile import Lock, LockAccount
from sendroute.store.states import DOMAIN_COLUMNS, domain_columns, route_columns, spec
from sendroute.store.tables import account, apply_all, domain, platform, profile, store

_BATCH = 10_000


def restore(connection: Connection, lock: Lock, revision: int) -> None:
    """Every row as of ``revision``, which is there already."""
    if lock.platform is not None:
        row = {"id": 1, "spec": spec(lock.platform), "version": lock.platform_version + VERSIONS}
        _insert(connection, platform, [row])
    numbers = [_account(connection, one, revision) for one in lock.accounts]
    owned = list(zip(numbers, lock.accounts, strict=True))
    rows = [row for number, one in owned for row in _profiles(number, one)]
    # In the order of their ids: the schema takes only rising ones.
    _insert(connection, profile, sorted(rows, key=lambda row: row["id"]))
    connection.execute(update(store).values(last_profile=lock.last_profile + IDS))
    revisions.continue_profiles(connection)
    for number, one in owned:
        _insert(connection, apply_all, _apply_alls(number, one, revision))
        names = ("name", "account_id", "since", "changed", *DOMAIN_COLUMNS)
        execute_many(connection, insert(domain), names, _domains(number, one, revision))


def _insert(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    for some in chunks(rows, _BATCH):
        connection.execute(insert(table), some)


def _account(connection: Connection, one: LockAccount, revision: int) -> int | None:
    if one.plan is None:
        return None
    kind, name = route_columns(one.default_route())
    made = connection.execute(
        insert(account).values(
            namespace=one.namespace,
            name=one.name,
            plan=one.plan,
            default_kind=kind,
            default_profile=name,
            revision=revision,
        )
    )
    key = made.inserted_primary_key
    return None if key is None else key[0]


def _profiles(number: int | None, one: LockAccount) -> Iterable[dict[str, Any]]:
    for name, current in one.profiles.items():
        yield {
            "id": current.id,
            "account_id": number,
            "name": name,
            "version": current.version + VERSIONS,
            "spec": spec(current.spec),
        }


def _apply_alls(number: int | None, one: LockAccount, revision: int) -> Iterable[dict[str, Any]]:
    for ran_id, current in one.apply_all.items():
        ran = current.record()
        kind, name = route_columns(ran.route)
        yield {
            "namespace": one.namespace,
            "account": one.name,
            "id": ran_id,
            "account_id": number,
            "kind": kind,
            "profile": name,
            "domains": ran.domains,
            "revision": revision,
        }


def _domains(
    number: int | None, one: LockAccount, revision: int
) -> Iterable[tuple[str | int | None, ...]]:
    for name, current in one.domains.items():
        yield name, number, revision, revision, *domain_columns(current.state())
