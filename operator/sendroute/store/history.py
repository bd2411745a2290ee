"""The append-only history: written change by change or as a whole switch, read as one list."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, insert, or_, select

from sendroute.model.change import Change, Kind, PlatformChange, State
from sendroute.model.desired import AccountKey
from sendroute.model.records import HistoryEntry, RouteRow
from sendroute.store.bulk import execute_many
from sendroute.store.states import history_document, history_text
from sendroute.store.tables import history, revision, switch, switched

STORE_KIND = "Store"
"""The kind of an entry about the store as a whole."""

_COLUMNS = tuple(column for column in history.c.keys() if column != "seq")  # noqa: SIM118


def add_store_entry(
    connection: Connection, now: int, action: str, reason: str, message: str
) -> None:
    """An entry about the store as a whole, of no account. ``now`` is the id of its revision."""
    connection.execute(
        insert(history).values(
            revision=now,
            namespace="",
            account="",
            kind=STORE_KIND,
            name="",
            action=action,
            reason=reason,
            message=message,
        )
    )


def add_changes(connection: Connection, changes: Iterable[tuple[int, Change]]) -> None:
    """An entry for each change, with the id of the revision that made it."""
    # A million domains are in few states: each is encoded once.
    texts: dict[State | None, str | None] = {None: None}
    rows = (_row(now, change, texts) for now, change in changes)
    execute_many(connection, insert(history), _COLUMNS, rows)


def _row(
    now: int, change: Change, texts: dict[State | None, str | None]
) -> tuple[str | int | None, ...]:
    # The platform belongs to no account.
    namespace, account = ("", "") if isinstance(change, PlatformChange) else change.account
    for state in (change.before, change.after):
        if state not in texts:
            assert state is not None  # noqa: S101 - None is there from the beginning
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
        change.reason,
        change.message,
    )


_WHEN = (revision.c.number, revision.c.at, revision.c.actor, revision.c.source_commit)
_EACH = (
    select(history, *_WHEN)
    .join_from(history, revision, history.c.revision == revision.c.id)
    .order_by(history.c.seq.desc())  # by its key: the latest few are found without reading all
)
# By the account first: it has few switches, each of which finds a name by its key.
_WHOLE = (
    select(switch, *_WHEN)
    .join_from(switch, revision, switch.c.revision == revision.c.id)
    .order_by(revision.c.number.desc(), switch.c.id.desc())
)


def history_of(
    connection: Connection, name: str | None, only: AccountKey | None, limit: int | None
) -> list[HistoryEntry]:
    """The latest first. Of one revision, what was switched as a whole comes last. Which rows are
    the latest is told by when they were written; in which order, by their revisions."""
    each = _EACH.limit(limit)
    whole = _WHOLE
    if name is not None:
        each = each.where(history.c.name == name, history.c.kind == Kind.DOMAIN.value)
    if only is not None:
        each = each.where(history.c.namespace == only.namespace, history.c.account == only.name)
        whole = whole.where(switch.c.namespace == only.namespace, switch.c.account == only.name)
    told = [_entry(row, row.kind, row.name) for row in connection.execute(each)]
    told += islice(_switched(connection, whole, name, limit), limit)
    told.sort(key=lambda entry: entry.revision, reverse=True)
    return told[:limit]


def given_by(connection: Connection, row: RouteRow) -> HistoryEntry | None:
    """The change that gave a domain its route: its own at that revision, else that of the store's
    making."""
    own = and_(history.c.name == row.domain, history.c.kind == Kind.DOMAIN.value)
    made = and_(history.c.name == "", history.c.kind == STORE_KIND)
    at: ColumnElement[bool] = revision.c.number == row.revision
    found = connection.execute(_EACH.where(at, or_(own, made)).limit(1)).one_or_none()
    if found is not None:
        return _entry(found, found.kind, found.name)
    return next(_switched(connection, _WHOLE.where(at), row.domain, 1), None)


def _switched(
    connection: Connection, whole: Select[Any], name: str | None, limit: int | None
) -> Iterator[HistoryEntry]:
    if name is not None:
        current = and_(switched.c.switch == switch.c.id, switched.c.name == name)
        for row in connection.execute(whole.join(switched, current).limit(limit)):
            yield _entry(row, Kind.DOMAIN.value, name)
        return
    for row in connection.execute(whole).all():
        names = select(switched.c.name).where(switched.c.switch == row.id)
        for found in connection.execute(names.order_by(switched.c.name).limit(limit)).scalars():
            yield _entry(row, Kind.DOMAIN.value, found)


def _entry(row: Any, kind: str, name: str) -> HistoryEntry:
    return HistoryEntry(
        row.number,
        row.at,
        row.actor,
        row.source_commit,
        AccountKey(row.namespace, row.account) if row.account else None,
        kind,
        name,
        row.action,
        history_document(kind, row.before) if row.before else None,
        history_document(kind, row.after) if row.after else None,
        row.reason,
        row.message,
    )
