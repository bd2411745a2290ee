"""Restores an earlier state of a store, without assigning any id twice.

A backup or a lock file may be older than the store that was lost. In between, the lost store may
have assigned profile ids and versions, and mail in a queue identifies its provider only by these
(the alias ``p42r7``). If they were assigned again, that mail would be sent to another destination,
with the credential of another tenant. So a store that *diverged* skips the ids that may have been
used: a million profile ids and a thousand versions (:func:`advance_ids`).

Revision numbers are not skipped, because they show whether a lock file is an older copy. A relay's
agent, which follows a store, remembers the *commit id* of its revision beside the number. A store
that does not contain that commit has diverged, and the agent reads everything again. Known aliases
remain. The rows of relays are deleted, and each agent reports again which revision it serves.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, literal, select, update

from sendroute.model.change import AccountPlan, ChangeReason, PlatformChange
from sendroute.model.credential import EncryptedCredentials
from sendroute.model.current import RanApplyAll
from sendroute.model.desired import AccountKey
from sendroute.model.provenance import Head, Provenance
from sendroute.model.records import RestorePoint
from sendroute.store import commit, endpoints, revisions
from sendroute.store.bulk import chunks, execute_many
from sendroute.store.errors import stale
from sendroute.store.history import add_store_entry
from sendroute.store.lockfile import Lock, LockAccount
from sendroute.store.states import DOMAIN_COLUMNS, domain_columns, logins_text, route_columns, spec
from sendroute.store.tables import account, apply_all, domain, endpoint, platform, profile, relay
from sendroute.store.tables import store as store_table

PROFILE_ID_GAP = 1_000_000
VERSION_GAP = 1_000

_BATCH = 10_000


def restore(
    connection: Connection,
    plans: Sequence[AccountPlan],
    platform_change: PlatformChange | None,
    point: RestorePoint,
    provenance: Provenance,
    encrypted: EncryptedCredentials,
    commit_id: str,
) -> int:
    """Commit the changes that return the store to ``point``, all or nothing. The caller excludes
    every other writer.

    Returns the new revision: above the restored one, if the store had diverged from it. Raises
    :class:`~sendroute.model.problem.StaleError` if the store changed after the plan was made.
    """
    _require_revision(connection, point.planned_on)
    diverged = not revisions.contains(connection, point.head)
    if diverged:
        _mark_contained(connection, point.head, provenance)
    with commit.conflicts_are_stale(plans):
        now = revisions.begin(connection, provenance, commit_id)
        if platform_change is not None:
            commit.write_platform(connection, platform_change, now, encrypted)
        writes = commit.fence_accounts(connection, plans, now)
        _insert_apply_alls(connection, point.apply_alls, now)
        for write in writes:
            _relink_apply_alls(connection, write.key, write.account_id, write.shadows)
        commit.write_accounts(connection, writes, encrypted)
    number = point.head.revision
    message = f"The store was restored to {point.file}, revision {number}."
    add_store_entry(connection, now, "update", ChangeReason.RESTORED, message, restored_to=number)
    if diverged:
        advance_ids(connection, now)
        behind = store_table.c.revision < point.head.revision
        connection.execute(update(store_table).where(behind).values(revision=point.head.revision))
    return revisions.end(connection, now)


def _require_revision(connection: Connection, planned_on: int) -> None:
    """Objects without a change must also be as they were when the plan was made."""
    current = select(store_table.c.revision).with_for_update()
    if connection.execute(current).scalar_one() != planned_on:
        raise stale()


def _mark_contained(connection: Connection, head: Head, provenance: Provenance) -> None:
    """Record that this store contains that commit. It gets no number, because another commit of
    this store may have the same number."""
    if head.commit_id is not None:
        revisions.begin(connection, provenance, head.commit_id)


def _insert_apply_alls(
    connection: Connection, apply_alls: Mapping[AccountKey, Mapping[str, RanApplyAll]], now: int
) -> None:
    """Insert apply-alls, so that their ids are never used again. They refer to no account's row
    until they are relinked."""
    rows = [
        _apply_all_row(key, ran_id, ran, None, now)
        for key, ran_in_account in apply_alls.items()
        for ran_id, ran in ran_in_account.items()
    ]
    _insert(connection, apply_all, rows)


def _relink_apply_alls(
    connection: Connection, key: AccountKey, account_id: int, shadows: Iterable[str]
) -> None:
    """An account that was removed and created again has a new row, to which its apply-alls must
    refer."""
    of_account = (apply_all.c.namespace == key.namespace, apply_all.c.account == key.name)
    of_other_row = apply_all.c.account_id.is_distinct_from(account_id)
    for ids in chunks(shadows):
        relinked = update(apply_all).where(*of_account, of_other_row, apply_all.c.id.in_(ids))
        connection.execute(relinked.values(account_id=account_id))


def advance_ids(connection: Connection, now: int) -> None:
    """Skip every profile id and version that the lost store may have assigned, and delete the rows
    of relays. ``now`` is the id of the present revision's row."""
    connection.execute(delete(relay))
    connection.execute(
        update(store_table).values(last_profile=store_table.c.last_profile + PROFILE_ID_GAP)
    )
    revisions.continue_profiles(connection)
    connection.execute(update(profile).values(version=profile.c.version + VERSION_GAP))
    connection.execute(update(platform).values(version=platform.c.version + VERSION_GAP))
    _copy_endpoints(connection, now)


def _copy_endpoints(connection: Connection, now: int) -> None:
    """Insert a row with the new version of every endpoint in use, and retire the old row."""
    changed = {"version": endpoint.c.version + VERSION_GAP, "made": literal(now)}
    columns = [name for name in endpoint.c.keys() if name != "retired"]  # noqa: SIM118
    in_use = endpoint.c.retired.is_(None)
    rows = select(*(changed.get(name, endpoint.c[name]) for name in columns)).where(in_use)
    connection.execute(insert(endpoint).from_select(columns, rows))
    connection.execute(update(endpoint).where(in_use, endpoint.c.made != now).values(retired=now))


def fill_from_lock(
    connection: Connection, lock: Lock, provenance: Provenance, commit_id: str | None
) -> int:
    """Fill an empty store with the state of a lock file.

    Returns the id of the transaction, which the caller ends. Raises the database's
    ``IntegrityError`` if the lock file contradicts itself, because the schema refuses it.
    """
    if not revisions.contains(connection, lock.head):
        _mark_contained(connection, lock.head, provenance)
    now = revisions.begin(connection, provenance, commit_id)
    if lock.platform is not None:
        version = lock.platform_version + VERSION_GAP
        row = {"id": 1, "spec": spec(lock.platform), "version": version}
        _insert(connection, platform, [row])
    accounts = [(_insert_account(connection, locked, now), locked) for locked in lock.accounts]
    rows = [row for account_id, locked in accounts for row in _profile_rows(account_id, locked)]
    # In the order of their ids, because the schema accepts only rising ids.
    _insert(connection, profile, sorted(rows, key=lambda row: row["id"]))
    connection.execute(update(store_table).values(last_profile=lock.last_profile + PROFILE_ID_GAP))
    revisions.continue_profiles(connection)
    for account_id, locked in accounts:
        apply_alls = (
            _apply_all_row(locked.key, ran_id, ran.record(), account_id, now)
            for ran_id, ran in locked.apply_all.items()
        )
        _insert(connection, apply_all, apply_alls)
        names = ("name", "account_id", "since", "changed", *DOMAIN_COLUMNS)
        execute_many(connection, insert(domain), names, _domain_rows(account_id, locked, now))
    endpoints.fill(connection, now)
    return now


def _insert(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    for batch in chunks(rows, _BATCH):
        connection.execute(insert(table), batch)


def _insert_account(connection: Connection, locked: LockAccount, now: int) -> int | None:
    """The id of its row; None for an account that was removed."""
    if locked.plan is None:
        return None
    kind, name = route_columns(locked.default_route())
    inserted = connection.execute(
        insert(account).values(
            namespace=locked.namespace,
            name=locked.name,
            plan=locked.plan,
            default_kind=kind,
            default_profile=name,
            logins=logins_text(locked.logins),
            revision=now,
        )
    )
    key = inserted.inserted_primary_key
    return None if key is None else key[0]


def _profile_rows(account_id: int | None, locked: LockAccount) -> Iterable[dict[str, Any]]:
    for name, current in locked.profiles.items():
        yield {
            "id": current.id,
            "account_id": account_id,
            "name": name,
            "version": current.version + VERSION_GAP,
            "spec": spec(current.spec),
        }


def _apply_all_row(
    key: AccountKey, ran_id: str, ran: RanApplyAll, account_id: int | None, now: int
) -> dict[str, Any]:
    kind, name = route_columns(ran.route)
    return {
        "namespace": key.namespace,
        "account": key.name,
        "id": ran_id,
        "account_id": account_id,
        "kind": kind,
        "profile": name,
        "domains": ran.domain_count,
        "revision": now,
    }


def _domain_rows(
    account_id: int | None, locked: LockAccount, now: int
) -> Iterable[tuple[str | int | None, ...]]:
    for name, current in locked.domains.items():
        yield name, account_id, now, now, *domain_columns(current.state())
