"""The append-only history. Its entries are changes and bulk switches, read as one list."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    false,
    func,
    insert,
    literal,
    not_,
    or_,
    select,
)

from sendroute.model.change import Change, ChangeReason, Kind, PlatformChange, State
from sendroute.model.desired import AccountKey
from sendroute.model.owner import Owner, owner_names
from sendroute.model.provenance import Head
from sendroute.model.records import HistoryEntry, RouteRow
from sendroute.store import revisions
from sendroute.store.bulk import execute_many
from sendroute.store.states import account_key, history_document, history_text, numbered
from sendroute.store.tables import APPROVE, history, revision, switch, switched

STORE_KIND = "Store"
"""The kind of an entry about the store as a whole."""
# Why an entry is about the store as a whole: it was restored, or created from a copy.
_RESTORED = (
    ChangeReason.RESTORED.value,
    ChangeReason.RESTORED_FROM_LOCK.value,
    ChangeReason.RESTORED_FROM_BACKUP.value,
    ChangeReason.RESTORED_WITHOUT_KEY.value,
)

_RECENT = 100
"""Entries of a domain that are searched for the one that gave its route another origin."""

_COLUMNS = tuple(column for column in history.c.keys() if column != "seq")  # noqa: SIM118


def add_store_entry(
    connection: Connection,
    now: int,
    action: str,
    reason: ChangeReason,
    message: str,
    *,
    restored_to: int | None = None,
) -> None:
    """Add an entry about the store as a whole. ``now`` is the id of its revision's row.
    ``restored_to`` is the revision of the state that the store got."""
    connection.execute(
        insert(history).values(
            revision=now,
            namespace="",
            account="",
            kind=STORE_KIND,
            name="",
            action=action,
            after=None if restored_to is None else _restored_state(restored_to),
            reason=reason.value,
            message=message,
        )
    )


def add_changes(connection: Connection, changes: Iterable[tuple[int, Change]]) -> None:
    """Add an entry for each change, given with the id of its revision's row."""
    # A million domains share a few states, so each state is encoded once.
    texts: dict[State | None, str | None] = {None: None}
    rows = (_row(now, change, texts) for now, change in changes)
    execute_many(connection, insert(history), _COLUMNS, rows)


def _row(
    now: int, change: Change, texts: dict[State | None, str | None]
) -> tuple[str | int | None, ...]:
    # The platform belongs to no account.
    namespace, account = ("", "") if isinstance(change, PlatformChange) else change.account
    for state in (change.before, change.after):
        if state is not None and state not in texts:
            texts[state] = history_text(state)
    return (
        now,
        namespace,
        account,
        change.kind.value,
        change.name,
        change.action.value,
        texts[change.before],
        texts[change.after],
        str(change.reason),
        change.message,
    )


def accounts_named(connection: Connection, name: str) -> frozenset[AccountKey]:
    """The accounts of this name, in any namespace, that have an entry of their own."""
    named = select(history.c.namespace).where(
        history.c.name == name, history.c.kind == Kind.ACCOUNT.value
    )
    return frozenset(account_key(namespace, name) for (namespace,) in connection.execute(named))


def is_changed_since(connection: Connection, head: Head) -> bool:
    """Whether anything that a lock file of a commit holds was changed after it, or after the store
    was last restored to its revision, or created from it. A new key, an approval and a credential
    with new content change nothing that a lock file holds."""
    number = revisions.number_of(connection, head)
    restored = (
        select(func.max(revision.c.number))
        .join_from(history, revision)
        .where(
            history.c.name == "",
            history.c.kind == STORE_KIND,
            history.c.reason.in_(_RESTORED),
            or_(
                history.c.after == _restored_state(head.revision),
                and_(
                    history.c.after.is_(None),
                    history.c.message.like(f"% revision {head.revision}.%"),
                ),
            ),
        )
    )
    since = max(number or 0, connection.execute(restored).scalar() or 0)
    same = and_(
        history.c.kind.in_((Kind.PROFILE.value, Kind.PLATFORM.value)),
        history.c.before == history.c.after,
    )
    held = and_(
        history.c.kind != STORE_KIND,
        history.c.action != APPROVE,
        not_(func.coalesce(same, false())),
    )
    later = revision.c.number > since
    changed = select(literal(1)).join_from(history, revision).where(later, held).limit(1)
    switched_later = select(literal(1)).join_from(switch, revision).where(later).limit(1)
    return any(connection.execute(query).first() for query in (changed, switched_later))


def _restored_state(number: int) -> str:
    """The state of an entry about a store that was restored to a revision, or created from it. An
    entry of an earlier version has none, and ends its first sentence with `revision 7.`."""
    return f'{{"revision":{number}}}'


def from_lock(connection: Connection) -> HistoryEntry | None:
    """The entry of the creation of the store, if it was created from a lock file: what it holds
    since then has no other entry. None for a store whose history begins with its first object."""
    created = and_(
        history.c.name == "",
        history.c.kind == STORE_KIND,
        history.c.reason == ChangeReason.RESTORED_FROM_LOCK.value,
    )
    row = connection.execute(_CHANGES.where(created).limit(1)).one_or_none()
    return None if row is None else _entry(row, row.kind, row.name)


_WHEN = (revision.c.number, revision.c.at, revision.c.actor, revision.c.source_commit)
_CHANGES = (
    select(history, *_WHEN)
    .join_from(history, revision, history.c.revision == revision.c.id, isouter=True)
    .order_by(history.c.seq.desc())  # the primary key, so a limit reads only the latest rows
)
# An account has few switches, and each finds a domain by the primary key.
_SWITCHES = (
    select(switch, *_WHEN)
    .join_from(switch, revision, switch.c.revision == revision.c.id, isouter=True)
    .order_by(revision.c.number.desc(), switch.c.id.desc())
)


class HistoryFilter(NamedTuple):
    """Which entries to list, and how many at most. None is no restriction. With an owner and a
    profile, the entries of both: a name may be that of an account and of a profile. ``since``
    selects the first revision of that time or later and all that follow it: a clock that was set
    back hides none."""

    domain: str | None = None
    owner: Owner | None = None
    profile: tuple[str | None, str] | None = None
    since: datetime | None = None
    limit: int | None = None


def history_of(connection: Connection, chosen: HistoryFilter) -> list[HistoryEntry]:
    """The entries of a filter.

    The latest revision comes first; within a revision, bulk switches come last.
    """
    limit = chosen.limit
    changes, switches = _CHANGES.limit(limit), _SWITCHES
    if chosen.domain is not None:
        of_domain = and_(history.c.name == chosen.domain, history.c.kind == Kind.DOMAIN.value)
        changes = changes.where(of_domain)
    either: list[ColumnElement[bool]] = []
    if chosen.owner is not None:
        namespace, account = owner_names(chosen.owner)
        either.append(and_(history.c.namespace == namespace, history.c.account == account))
        switches = switches.where(switch.c.namespace == namespace, switch.c.account == account)
    if chosen.profile is not None:
        namespace_of_profile, name = chosen.profile
        of_profile = and_(history.c.name == name, history.c.kind == Kind.PROFILE.value)
        if namespace_of_profile is not None:
            of_profile = and_(of_profile, history.c.namespace == namespace_of_profile)
        either.append(of_profile)
    if either:
        changes = changes.where(or_(*either))
    if chosen.since is not None:
        first = select(func.min(revision.c.number)).where(revision.c.at >= chosen.since)
        number = connection.execute(first).scalar()
        if number is None:
            return []
        changes = changes.where(revision.c.number >= number)
        switches = switches.where(revision.c.number >= number)
    entries = [_entry(row, row.kind, row.name) for row in connection.execute(changes)]
    if chosen.profile is None or chosen.owner is not None:  # a switch is no change of a profile
        entries += islice(_switched(connection, switches, chosen.domain, limit), limit)
    entries.sort(key=lambda entry: entry.revision, reverse=True)
    return entries[:limit]


def given_by(connection: Connection, row: RouteRow) -> HistoryEntry | None:
    """The entry of the change that decided a domain's route, or of the creation of the store if the
    route came with it. A later change may have kept the route for another reason, as an apply-all
    does. None if the history has no such entry."""
    assigned = _assigned_by(connection, row)
    origin = row.state.origin.value
    if assigned is None or (assigned.after or {}).get("origin", origin) == origin:
        return assigned
    for entry in history_of(connection, HistoryFilter(domain=row.domain, limit=_RECENT)):
        before, after = entry.before or {}, entry.after or {}
        if after.get("origin") == origin != before.get("origin"):
            return entry
    return assigned


def _assigned_by(connection: Connection, row: RouteRow) -> HistoryEntry | None:
    changed = and_(history.c.name == row.domain, history.c.kind == Kind.DOMAIN.value)
    created = and_(history.c.name == "", history.c.kind == STORE_KIND)
    at: ColumnElement[bool] = revision.c.number == row.revision
    entry = connection.execute(_CHANGES.where(at, or_(changed, created)).limit(1)).one_or_none()
    if entry is not None:
        return _entry(entry, entry.kind, entry.name)
    return next(_switched(connection, _SWITCHES.where(at), row.domain, 1), None)


def _switched(
    connection: Connection, switches: Select[Any], name: str | None, limit: int | None
) -> Iterator[HistoryEntry]:
    if name is not None:
        of_domain = and_(switched.c.switch == switch.c.id, switched.c.name == name)
        for row in connection.execute(switches.join(switched, of_domain).limit(limit)):
            yield _entry(row, Kind.DOMAIN.value, name)
        return
    for row in connection.execute(switches).all():
        names = select(switched.c.name).where(switched.c.switch == row.id)
        for domain in connection.execute(names.order_by(switched.c.name).limit(limit)).scalars():
            yield _entry(row, Kind.DOMAIN.value, domain)


def _entry(row: Any, kind: str, name: str) -> HistoryEntry:
    return HistoryEntry(
        numbered(row.number),
        row.at,
        row.actor,
        row.source_commit,
        account_key(row.namespace, row.account) if row.account else None,
        kind,
        name,
        row.action,
        None if row.before is None else history_document(kind, row.before),
        None if row.after is None else history_document(kind, row.after),
        row.reason,
        row.message,
    )
