"""Copies all rows of one store into another, empty store, whichever databases the two use.

So a backup has the same form for both databases, and a store can be moved between them. Keys,
checks and triggers stay active, so inconsistent rows are refused.
"""

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    String,
    Table,
    cast,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import REGCLASS

from sendroute.store import revisions
from sendroute.store.bulk import execute_many, plain_rows
from sendroute.store.tables import (
    account,
    account_status,
    applied_commit,
    apply_all,
    domain,
    endpoint,
    epoch,
    followed_source,
    history,
    platform,
    profile,
    relay,
    revision,
    store,
    switch,
    switched,
)

ORDER: tuple[Table, ...] = (
    store,
    revision,
    platform,
    account,
    profile,
    endpoint,
    apply_all,
    domain,
    history,
    switch,
    switched,
    account_status,
    applied_commit,
    relay,
    followed_source,
    epoch,
)
"""A table comes after the tables that its keys and triggers refer to. A test checks that none is
missing."""

Advance = Callable[[int], None]


def no_progress(_steps: int) -> None:
    """An ``Advance`` that shows nothing."""


_FETCH = 10_000


def copy_all(source: Connection, target: Connection, advance: Advance) -> None:
    """Copy the rows of every table.

    ``source`` is a transaction that sees one state, ``target`` an empty store with the same schema.
    ``advance`` is called with each number of copied rows. Raises ``IntegrityError`` or
    ``DataError`` of SQLAlchemy if the target refuses a row.
    """
    for table in ORDER:
        for rows in _rows(source, table):
            if table is store:
                # A trigger refuses profile ids that are not above the last one.
                rows = [dict(row) | {"last_profile": 0} for row in rows]
            _insert(target, table, rows)
            advance(len(rows))
    _continue_ids(source, target)


def _rows(source: Connection, table: Table) -> Iterator[list[Any]]:
    """The rows in the order of their key, because profile ids must rise. They are tuples of the
    driver, or mappings if a column type must convert values that the databases store
    differently."""
    desired = select(*_columns(table)).order_by(*table.primary_key)
    if _is_plain(table):
        yield from map(list, plain_rows(source, desired))
    else:
        # Options of the statement, because those of the connection would apply to later statements.
        streamed = desired.execution_options(stream_results=True, max_row_buffer=_FETCH)
        yield from map(list, source.execute(streamed).mappings().partitions(_FETCH))


def _columns(table: Table) -> Iterator[ColumnElement[Any]]:
    """All columns. The account id of an apply-all is NULL if the account was removed, because the
    other store may assign that id to another account."""
    account_id = (
        select(account.c.id).where(account.c.id == apply_all.c.account_id).scalar_subquery()
    )
    for column in table.c:
        yield account_id.label("account_id") if column is apply_all.c.account_id else column


def _insert(target: Connection, table: Table, rows: list[Any]) -> None:
    if table is not store and _is_plain(table):
        execute_many(target, insert(table), table.c.keys(), rows)
    else:
        target.execute(insert(table), [dict(row) for row in rows])


def _is_plain(table: Table) -> bool:
    """Whether the table has only text and numbers, which both drivers return alike."""
    return table is not store and all(
        isinstance(column.type, String | Integer) for column in table.c
    )


def _continue_ids(source: Connection, target: Connection) -> None:
    """Continue sequences after the highest id of the source, so that no profile id is used
    twice."""
    last = source.execute(select(store.c.last_profile)).scalar_one()
    target.execute(update(store).values(last_profile=last))
    revisions.continue_profiles(target)
    if target.dialect.name == "sqlite":
        return  # it always continues from the highest
    for sequence, last in (
        (func.pg_get_serial_sequence("account", "id"), _highest(source, account.c.id)),
        (func.pg_get_serial_sequence("history", "seq"), _highest(source, history.c.seq)),
        (func.pg_get_serial_sequence("switch", "id"), _highest(source, switch.c.id)),
        (cast("revision_id", REGCLASS), _highest(source, revision.c.id)),
    ):
        if last is not None:
            target.execute(select(func.setval(sequence, last)))


def _highest(source: Connection, column: ColumnElement[int]) -> int | None:
    return source.execute(select(func.max(column))).scalar()
