"""All rows of one store into another that is empty, whichever databases the two are.

So a backup is the same file whatever it was taken from, and a store can move. Keys, checks and
triggers are on: what contradicts itself does not arrive.
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
    apply_all,
    domain,
    endpoint,
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
    relay,
)
"""What a row refers to, by a key or a trigger, comes before it. A test holds it complete."""

Advance = Callable[[int], None]


def no_progress(_steps: int) -> None:
    """An ``Advance`` that shows nothing."""


_FETCH = 10_000


def copy_all(source: Connection, target: Connection, advance: Advance) -> None:
    """``source`` is one transaction that sees one state; ``target`` has the schema and no row.
    ``advance`` is told of each number of rows that were copied."""
    for table in ORDER:
        for rows in _rows(source, table):
            if table is store:
                # The trigger that refuses an id given before takes profiles only above it.
                rows = [dict(row) | {"last_profile": 0} for row in rows]
            _insert(target, table, rows)
            advance(len(rows))
    _count_on(source, target)


def _rows(source: Connection, table: Table) -> Iterator[list[Any]]:
    """In the order of their key, for profile ids only rise: tuples as the driver has them, or
    mappings where a column's type has to convert what the two databases keep differently."""
    desired = select(*_columns(table)).order_by(*table.primary_key)
    if _is_plain(table):
        yield from map(list, plain_rows(source, desired))
    else:
        # Options of the statement: those of a connection would stay for the next.
        streamed = desired.execution_options(stream_results=True, max_row_buffer=_FETCH)
        yield from map(list, source.execute(streamed).mappings().partitions(_FETCH))


def _columns(table: Table) -> Iterator[ColumnElement[Any]]:
    """As they are; but an account that is gone is none that an apply-all may name (it stays known
    by its names), and another store may give that account's id to another."""
    there = select(account.c.id).where(account.c.id == apply_all.c.account_id).scalar_subquery()
    for column in table.c:
        yield there.label("account_id") if column is apply_all.c.account_id else column


def _insert(target: Connection, table: Table, rows: list[Any]) -> None:
    if table is not store and _is_plain(table):
        execute_many(target, insert(table), table.c.keys(), rows)
    else:
        target.execute(insert(table), [dict(row) for row in rows])


def _is_plain(table: Table) -> bool:
    """Text and numbers only, which both drivers have alike."""
    return table is not store and all(
        isinstance(column.type, String | Integer) for column in table.c
    )


def _count_on(source: Connection, target: Connection) -> None:
    """What counts goes on where it stood: no id of a profile is given again."""
    last = source.execute(select(store.c.last_profile)).scalar_one()
    target.execute(update(store).values(last_profile=last))
    revisions.continue_profiles(target)
    if target.dialect.name == "sqlite":
        return  # which goes on from the highest by itself
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
