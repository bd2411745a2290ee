"""Many rows by one statement, in the driver's own form.

SQLAlchemy compiles the statement once, for whichever database; the rows then go to the driver, or
come from it, as they are. To have it bind each row by name would double the time of a million.
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
    Text,
    Update,
    any_,
    bindparam,
    func,
    select,
    tuple_,
)

# Names in one statement: below every limit on parameters.
CHUNK = 500
_FETCH = 5_000
# Rows handed to the driver at once: enough that the call costs nothing, few enough for memory.
_BATCH = 10_000
# Rows joined to a table at once: each time all of it may be read.
_JOINED = 100_000

T = TypeVar("T")
Row = tuple[Any, ...]


def chunks(values: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    rest = iter(values)
    while chunk := list(islice(rest, size)):
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
    for some in chunks(sorted(only)):
        yield statement.where(tuple_(namespace, name).in_([tuple(key) for key in some]))


def among(
    connection: Connection, text: ColumnElement[str], values: Sequence[str]
) -> ColumnElement[bool]:
    """Whether a column is one of many values, which are one parameter of the statement."""
    if connection.dialect.name == "postgresql":
        return text == any_(bindparam(None, list(values), type_=ARRAY(Text())))
    packed = bindparam(None, json.dumps(list(values)), type_=Text())
    return text.in_(select(func.json_each(packed).table_valued("value").c.value))


def execute_many(
    connection: Connection,
    statement: Insert | Update,
    names: Sequence[str],
    rows: Iterable[Row],
) -> int:
    """Executes it for each row, whose values are those of ``names``: an INSERT's columns, an
    UPDATE's bound parameters. Returns the number of rows that the database says it touched.

    Values reach the driver as they are: text and numbers only, no column type converts them.
    """
    if connection.dialect.name == "postgresql":
        # For its driver a million statements are a million statements, however they are sent.
        from sendroute.store.postgres.bulk import insert_rows, update_rows

        if isinstance(statement, Insert):
            return insert_rows(connection, statement, names, rows)
        return sum(update_rows(connection, statement, names, some) for some in chunks(rows, _BATCH))
    inserted = list(names) if isinstance(statement, Insert) else None
    compiled = statement.compile(connection, column_keys=inserted)
    text = str(compiled)
    fixed = compiled.params
    order = getattr(compiled, "positiontup", None)
    touched = 0
    for some in chunks(rows, _BATCH):
        parameters: list[Any]
        if order is None:
            parameters = [fixed | dict(zip(names, row, strict=True)) for row in some]
        elif list(order) == list(names):
            parameters = some
        else:
            places = {name: place for place, name in enumerate(names)}
            rest = [name for name in order if name not in places]
            tail = tuple(fixed[name] for name in rest)
            places |= {name: len(names) + place for place, name in enumerate(rest)}
            pick = itemgetter(*(places[name] for name in order))
            parameters = [pick(row + tail) for row in some]
        touched += connection.exec_driver_sql(text, parameters).rowcount
    return touched


def plain_rows(connection: Connection, statement: Select[Any]) -> Iterator[Sequence[Row]]:
    """What it selects, some thousands of plain tuples at a time, never all at once."""
    if connection.dialect.name == "postgresql":
        from sendroute.store.postgres.bulk import server_cursor

        with server_cursor(connection, statement) as cursor:
            while rows := cursor.fetchmany(_FETCH):
                yield rows
        return
    result = connection.execute(statement)
    assert result.cursor is not None  # noqa: S101 - a SELECT has one
    while some := result.cursor.fetchmany(_FETCH):
        yield some
    result.close()
