"""Statements in the form of the database and its driver: one for many rows, and an insert that can
replace a row.

SQLAlchemy compiles the statement once for the database. The rows are passed to the driver, or read
from it, without conversion: binding each row by name would double the time of a million rows.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any, TypeVar

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Insert,
    Select,
    Table,
    Text,
    Update,
    any_,
    bindparam,
    func,
    select,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite

from sendroute.store.database import Row
from sendroute.store.sqlite.values import check_columns, types_of

# Names in one statement: below the limits of both databases on parameters.
CHUNK = 500
_FETCH = 5_000
# Rows passed to the driver at once: enough to make the call cheap, few enough for memory.
_BATCH = 10_000

T = TypeVar("T")


def chunks(values: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """The values in lists of at most ``size``, in order."""
    remaining = iter(values)
    while chunk := list(islice(remaining, size)):
        yield chunk


def restricted(
    statement: Select[Any],
    namespace: ColumnElement[str],
    name: ColumnElement[str],
    only: Collection[tuple[str, str]] | None,
) -> Iterator[Select[Any]]:
    """The statement for all accounts, or for some hundreds of these at a time."""
    if only is None:
        yield statement
        return
    for chunk in chunks(sorted(only)):
        yield statement.where(tuple_(namespace, name).in_([tuple(key) for key in chunk]))


def matches_any(
    connection: Connection, text: ColumnElement[str], values: Sequence[str]
) -> ColumnElement[bool]:
    """Whether a column is one of many values, which are one parameter of the statement."""
    if connection.dialect.name == "postgresql":
        return text == any_(bindparam(None, list(values), type_=ARRAY(Text())))
    packed = bindparam(None, json.dumps(list(values)), type_=Text())
    return text.in_(select(func.json_each(packed).table_valued("value").c.value))


def insert_into(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An insert that can replace an existing row. Both databases use the same statement, but
    SQLAlchemy has a construct for each."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)


def execute_many(
    connection: Connection,
    statement: Insert | Update,
    names: Sequence[str],
    rows: Iterable[Row],
) -> int:
    """Execute a statement for each row.

    ``names`` are the columns of an INSERT or the bound parameters of an UPDATE, in the order of
    the values in each row. Values are passed to the driver without conversion, so they must be text
    or numbers. Returns the number of rows that the database reports as affected.
    """
    if connection.dialect.name == "postgresql":
        # Its executemany sends a statement for each row, however it is called.
        from sendroute.store.postgres.bulk import insert_rows, update_rows

        if isinstance(statement, Insert):
            return insert_rows(connection, statement, names, rows)
        return sum(
            update_rows(connection, statement, names, batch) for batch in chunks(rows, _BATCH)
        )
    inserted = list(names) if isinstance(statement, Insert) else None
    compiled = statement.compile(connection, column_keys=inserted)
    text = str(compiled)
    fixed = compiled.params
    order = getattr(compiled, "positiontup", None)
    affected = 0
    for batch in chunks(rows, _BATCH):
        parameters: list[Any]
        if order is None:
            parameters = [fixed | dict(zip(names, row, strict=True)) for row in batch]
        elif list(order) == list(names):
            parameters = batch
        else:
            positions = {name: position for position, name in enumerate(names)}
            unnamed = [name for name in order if name not in positions]
            tail = tuple(fixed[name] for name in unnamed)
            positions |= {name: len(names) + position for position, name in enumerate(unnamed)}
            pick = itemgetter(*(positions[name] for name in order))
            parameters = [pick(row + tail) for row in batch]
        affected += connection.exec_driver_sql(text, parameters).rowcount
    return affected


def plain_rows(connection: Connection, statement: Select[Any]) -> Iterator[Sequence[Row]]:
    """The selected rows as plain tuples, some thousands at a time."""
    if connection.dialect.name == "postgresql":
        from sendroute.store.postgres.bulk import server_cursor

        with server_cursor(connection, statement) as cursor:
            while rows := cursor.fetchmany(_FETCH):
                yield rows
        return
    result = connection.execute(statement)
    driver: Any = result.cursor
    driver.row_factory = None  # whole batches are checked instead of each row
    types = types_of(statement)
    while batch := driver.fetchmany(_FETCH):
        check_columns(types, batch)
        yield batch
    result.close()
