"""Writes planned changes and their history in one transaction.

The order follows the schema's keys: a domain is deleted before it is created in another account; a
profile is created before the domains that use it and deleted after them; accounts are deleted last.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import assert_never

from msgspec import Struct, field
from sqlalchemy import (
    Connection,
    Insert,
    Update,
    and_,
    bindparam,
    case,
    delete,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from sendroute.model.change import (
    AccountChange,
    AccountPlan,
    Action,
    Change,
    DomainChange,
    PlatformChange,
    ProfileChange,
)
from sendroute.model.credential import EncryptedCredentials
from sendroute.model.desired import AccountKey
from sendroute.model.owner import PLATFORM
from sendroute.model.provenance import Provenance
from sendroute.model.secret import binding_of
from sendroute.store import account_status, bulk_switch, endpoints, history, revisions
from sendroute.store.bulk import chunks, execute_many
from sendroute.store.endpoints import NewEndpoint
from sendroute.store.errors import stale
from sendroute.store.states import (
    DOMAIN_COLUMNS,
    domain_columns,
    logins_text,
    platform_of,
    route_columns,
    spec,
)
from sendroute.store.tables import account, apply_all, domain, platform, profile, revision, store
from sendroute.store.translation import is_duplicate


class AccountWrite(Struct):
    """The writes of an account's plan, sorted by kind and action. ``revision`` is the id of the
    revision's row, ``account_id`` that of the account's row after it is fenced."""

    key: AccountKey
    planned_on: int
    revision: int
    account: AccountChange | None = None
    profiles_created: list[ProfileChange] = field(default_factory=list)
    profiles_updated: list[ProfileChange] = field(default_factory=list)
    profiles_deleted: list[ProfileChange] = field(default_factory=list)
    domains_created: list[DomainChange] = field(default_factory=list)
    domains_updated: list[DomainChange] = field(default_factory=list)
    domains_deleted: list[DomainChange] = field(default_factory=list)
    account_id: int = 0
    switched: bool = False
    """The history of ``domains_updated`` was written with the bulk switch."""

    @property
    def creates_account(self) -> bool:
        return self.account is not None and self.account.before is None

    @property
    def deletes_account(self) -> bool:
        return self.account is not None and self.account.after is None

    @property
    def shadows(self) -> set[str]:
        """The apply-alls that shadow a domain after this change."""
        after = (change.after for change in (*self.domains_created, *self.domains_updated))
        return {state.shadow for state in after if state is not None and state.shadow}


def commit(
    connection: Connection,
    plans: Sequence[AccountPlan],
    platform_change: PlatformChange | None,
    provenance: Provenance,
    encrypted: EncryptedCredentials,
    commit_id: str,
) -> int:
    """Write the changes of these accounts, and the platform's, as one revision.

    ``encrypted`` has the credentials of new or changed destinations; an unchanged destination keeps
    its credential. ``commit_id`` is recorded with the revision.

    Returns the new revision, or the current one if there was nothing to write. Raises
    :class:`~sendroute.model.problem.StaleError` if an account, or the platform, changed after the
    plan was made, or if another account took a domain.
    """
    if platform_change is not None and platform_change.action is Action.SKIP:
        platform_change = None
    if platform_change is None and not any(map(_has_writes, plans)):
        return int(connection.execute(select(store.c.revision)).scalar_one())
    with conflicts_are_stale(plans):
        now = revisions.begin(connection, provenance, commit_id)
        if platform_change is not None:
            write_platform(connection, platform_change, now, encrypted)
        write_accounts(connection, fence_accounts(connection, plans, now), encrypted)
    return revisions.end(connection, now)


def commit_groups(
    connection: Connection,
    groups: Sequence[Sequence[AccountPlan]],
    provenance: Provenance,
    encrypted: EncryptedCredentials,
    commit_ids: Sequence[str],
) -> list[int]:
    """Write several groups of accounts, each as a separate revision, in one transaction. Every
    group must have something to write.

    Returns the revision of each group, in order. Raises what :func:`commit` raises: then no group
    is written.
    """
    with conflicts_are_stale([plan for group in groups for plan in group]):
        ids = revisions.begin_all(connection, provenance, commit_ids)
        writes = [
            write
            for now, group in zip(ids, groups, strict=True)
            for write in fence_accounts(connection, group, now)
        ]
        write_accounts(connection, writes, encrypted)
    return revisions.end_all(connection, ids)


@contextmanager
def conflicts_are_stale(plans: Sequence[AccountPlan]) -> Iterator[None]:
    """A context in which the plans become stale if another writer inserted the same row first."""
    try:
        yield
    except IntegrityError as error:
        if is_duplicate(error):
            raise stale(*(plan.key for plan in plans)) from error
        raise


def _has_writes(plan: AccountPlan) -> bool:
    return not plan.stopped and any(change.action is not Action.SKIP for change in plan.changes)


def _write_of(plan: AccountPlan, now: int) -> AccountWrite:
    write = AccountWrite(plan.key, plan.revision, now)
    domains = {Action.CREATE: write.domains_created, Action.DELETE: write.domains_deleted}
    profiles = {Action.CREATE: write.profiles_created, Action.DELETE: write.profiles_deleted}
    for change in plan.changes:
        if change.action is Action.SKIP:
            continue
        match change:
            case DomainChange():
                domains.get(change.action, write.domains_updated).append(change)
            case ProfileChange():
                profiles.get(change.action, write.profiles_updated).append(change)
            case AccountChange():
                write.account = change
            case _:
                assert_never(change)
    return write


def write_platform(
    connection: Connection, change: PlatformChange, now: int, encrypted: EncryptedCredentials
) -> None:
    """Write the platform and its history. The fence compares its content, because a plan has the
    platform that it was made from, but not its version.

    Raises :class:`~sendroute.model.problem.StaleError` if the store has another platform.
    """
    row = connection.execute(select(platform).with_for_update()).one_or_none()
    if (None if row is None else platform_of(row.spec)) != change.before:
        raise stale("the platform")
    if change.after is None:
        raise ValueError("a platform is never deleted")
    version = 1 if row is None else row.version + 1
    values = {"spec": spec(change.after), "version": version}
    connection.execute(
        insert(platform).values(id=1, **values) if row is None else update(platform).values(values)
    )
    tokens = encrypted.get(PLATFORM, {})
    endpoints.write_relays(connection, version, change.after, change.before, now, tokens)
    history.add_changes(connection, [(now, change)])


def fence_accounts(
    connection: Connection, plans: Iterable[AccountPlan], now: int
) -> list[AccountWrite]:
    """Insert or update the row of each account that the plans change, with the revision ``now``.

    Raises :class:`~sendroute.model.problem.StaleError` if an account is not at the revision that it
    was planned on.
    """
    writes = [_write_of(plan, now) for plan in plans if _has_writes(plan)]
    for write in writes:
        fenced = _fenced_row(write)
        row = connection.execute(fenced.returning(account.c.id)).one_or_none()
        if row is None:
            raise stale(write.key)
        write.account_id = row.id
    return writes


def _fenced_row(write: AccountWrite) -> Insert | Update:
    values = {"revision": write.revision, **_account_columns(write)}
    if write.creates_account:
        return insert(account).values(namespace=write.key.namespace, name=write.key.name, **values)
    planned_on = select(revision.c.id).where(revision.c.number == write.planned_on)
    return (
        update(account)
        .where(
            account.c.namespace == write.key.namespace,
            account.c.name == write.key.name,
            account.c.revision == planned_on.scalar_subquery(),
        )
        .values(values)
    )


def _account_columns(write: AccountWrite) -> dict[str, str | int | None]:
    if write.account is None or write.account.after is None:
        return {}
    state = write.account.after
    kind, name = route_columns(state.default)
    return {
        "plan": state.plan,
        "default_kind": kind,
        "default_profile": name,
        "logins": logins_text(state.logins),
    }


def write_accounts(
    connection: Connection, writes: Sequence[AccountWrite], encrypted: EncryptedCredentials
) -> None:
    """Write the objects of fenced accounts, and their history."""
    for write in writes:
        _record_apply_all(connection, write)
        _delete_domains(connection, write)
    _create_profiles(connection, writes, encrypted)
    for write in writes:
        _update_profiles(connection, write, encrypted.get(write.key, {}))
        _update_domains(connection, write)
    _create_domains(connection, writes)
    for write in writes:
        _delete_profiles(connection, write)
    deleted = [write.account_id for write in writes if write.deletes_account]
    for ids in chunks(deleted):
        connection.execute(delete(account).where(account.c.id.in_(ids)))
    account_status.clear(connection, [write.key for write in writes])
    in_history = (
        (now, change)
        for now, of_revision in groupby(writes, key=lambda write: write.revision)
        for change in _in_history(list(of_revision))
    )
    history.add_changes(connection, in_history)


def _in_history(writes: Sequence[AccountWrite]) -> Iterator[Change]:
    """The changes of one revision in the order in which they took effect."""
    yield from (write.account for write in writes if write.account is not None)
    for write in writes:
        yield from write.domains_deleted
    for write in writes:
        yield from write.profiles_created
        yield from write.profiles_updated
    for write in writes:
        yield from () if write.switched else write.domains_updated
        yield from write.domains_created
    for write in writes:
        yield from write.profiles_deleted


def _record_apply_all(connection: Connection, write: AccountWrite) -> None:
    if write.account is None or write.account.completed is None:
        return
    ran_id, ran = write.account.completed
    connection.execute(
        insert(apply_all).values(
            namespace=write.key.namespace,
            account=write.key.name,
            id=ran_id,
            account_id=write.account_id,
            kind=ran.route.kind.value,
            profile=ran.route.profile,
            domains=ran.domain_count,
            revision=write.revision,
        )
    )


def _create_profiles(
    connection: Connection, writes: Sequence[AccountWrite], encrypted: EncryptedCredentials
) -> None:
    created = [(write, change) for write in writes for change in write.profiles_created]
    ids = revisions.next_profiles(connection, len(created))
    numbered = list(zip(ids, created, strict=True))
    execute_many(
        connection,
        insert(profile),
        ("id", "account_id", "name", "version", "spec"),
        (
            (number, write.account_id, change.name, 1, spec(change.written))
            for number, (write, change) in numbered
        ),
    )
    endpoints.write_all(
        connection,
        (
            NewEndpoint(
                (number, 1),
                binding_of(write.key, change.name, change.written),
                write.revision,
                encrypted.get(write.key, {}).get(change.name),
            )
            for number, (write, change) in numbered
        ),
    )


def _update_profiles(
    connection: Connection, write: AccountWrite, tokens: Mapping[str, str]
) -> None:
    for change in write.profiles_updated:
        criterion = and_(profile.c.account_id == write.account_id, profile.c.name == change.name)
        values = {"version": profile.c.version + 1, "spec": spec(change.written)}
        if connection.execute(update(profile).where(criterion).values(values)).rowcount != 1:
            raise stale(write.key)
        row = connection.execute(select(profile.c.id, profile.c.version).where(criterion)).one()
        endpoints.replace(
            connection,
            NewEndpoint(
                (row.id, row.version),
                binding_of(write.key, change.name, change.written),
                write.revision,
                tokens.get(change.name),
            ),
            same_identity=endpoints.same_identity(change.before, change.written),
        )


def _delete_profiles(connection: Connection, write: AccountWrite) -> None:
    for changes in chunks(write.profiles_deleted):
        criterion = and_(
            profile.c.account_id == write.account_id,
            profile.c.name.in_([change.name for change in changes]),
        )
        ids = connection.execute(select(profile.c.id).where(criterion)).scalars()
        endpoints.retire(connection, ids, write.revision)
        if connection.execute(delete(profile).where(criterion)).rowcount != len(changes):
            raise stale(write.key)


def _delete_domains(connection: Connection, write: AccountWrite) -> None:
    for changes in chunks(write.domains_deleted):
        criterion = and_(
            domain.c.account_id == write.account_id,
            domain.c.name.in_([change.name for change in changes]),
        )
        if connection.execute(delete(domain).where(criterion)).rowcount != len(changes):
            raise stale(write.key)


def _update_domains(connection: Connection, write: AccountWrite) -> None:
    """An apply-all over the whole account takes a few statements, other updates one for each
    domain."""
    if write.account is not None and write.account.completed is not None:
        switch = bulk_switch.whole_switch(write.account.completed, write.domains_updated)
        if switch is not None:
            write.switched = bulk_switch.switch(
                connection, write.key, write.account_id, switch, write.revision
            )
    if write.switched or not write.domains_updated:
        return
    updated = (
        update(domain)
        .where(domain.c.account_id == write.account_id, domain.c.name == bindparam("b_name"))
        .values(
            {name: bindparam(f"b_{name}") for name in DOMAIN_COLUMNS}
            | {
                "since": case(
                    (bindparam("b_rerouted") == literal(1), write.revision), else_=domain.c.since
                ),
                "changed": write.revision,
            }
        )
    )
    names = ("b_name", "b_rerouted", *(f"b_{name}" for name in DOMAIN_COLUMNS))
    rows = (
        (change.name, int(_is_rerouted(change)), *domain_columns(change.written))
        for change in write.domains_updated
    )
    if execute_many(connection, updated, names, rows) != len(write.domains_updated):
        raise stale(write.key)


def _is_rerouted(change: DomainChange) -> bool:
    return change.before is None or change.before.route != change.written.route


def _create_domains(connection: Connection, writes: Sequence[AccountWrite]) -> None:
    names = ("name", "account_id", "since", "changed", *DOMAIN_COLUMNS)
    rows = (
        (
            change.name,
            write.account_id,
            write.revision,
            write.revision,
            *domain_columns(change.written),
        )
        for write in writes
        for change in write.domains_created
    )
    execute_many(connection, insert(domain), names, rows)
