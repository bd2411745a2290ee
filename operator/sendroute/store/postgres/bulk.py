"""Many rows at once, as PostgreSQL takes and gives them fastest."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import (
    ARRAY,
    BindParameter,
    Connection,
    Insert,
    Integer,
    Select,
    Text,
    Update,
    bindparam,
    column,
    func,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.visitors import replacement_traverse

from sendroute.store.postgres.database import driver

Row = tuple[Any, ...]

_numbers = count()


def insert_rows(
    connection: Connection, statement: Insert, names: Sequence[str], rows: Iterable[Row]
) -> int:
    """COPY, in place of a plain INSERT. How many there were."""
    copy = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(statement.table.name), sql.SQL(", ").join(map(sql.Identifier, names))
    )
    rest = iter(rows)
    first = next(rest, None)
    if first is None:
        return 0
    with _own_cursor(connection) as cursor:
        with cursor.copy(copy) as stream:
            stream.write_row(first)
            for row in rest:
                stream.write_row(row)
        return cursor.rowcount


def update_rows(
    connection: Connection, statement: Update, names: Sequence[str], rows: Sequence[Row]
) -> int:
    """One UPDATE … FROM: what is a bound parameter of each row becomes a column of arrays that
    are unpacked beside the table. How many it touched."""
    given = {
        name: list(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)
    }
    types = {
        name: Integer() if isinstance(values[0], int) else Text() for name, values in given.items()
    }
    staged = (
        func.unnest(
            *(bindparam(name, values, type_=ARRAY(types[name])) for name, values in given.items())
        )
        .table_valued(*(column(name, types[name]) for name in names), name="staged")
        .render_derived()
    )

    def in_its_location(element: Any, **_: Any) -> Any:
        return (
            staged.c[element.key]
            if isinstance(element, BindParameter) and element.key in given
            else None
        )

    joined: Any = replacement_traverse(statement, {}, in_its_location)
    touched: int = connection.execute(joined).rowcount
    return touched


@contextmanager
def server_cursor(
    connection: Connection, statement: Select[Any]
) -> Iterator[psycopg.ServerCursor[Row]]:
    """The rows stay with the server until they are asked for."""
    compiled = statement.compile(connection, compile_kwargs={"render_postcompile": True})
    own = driver(connection)
    with _told():
        cursor = own.cursor(name=f"sendroute_{next(_numbers)}")  # several may be open
        try:
            cursor.execute(str(compiled), compiled.params)
            yield cursor
        finally:
            _close(own, cursor)


def _close(own: psycopg.Connection[Row], cursor: psycopg.ServerCursor[Row]) -> None:
    try:
        cursor.close()
    except psycopg.Error:
        own.close()  # the server cannot be told to close it: only so the driver takes it as closed
        cursor.close()
        raise


@contextmanager
def _own_cursor(connection: Connection) -> Iterator[psycopg.Cursor[Row]]:
    with _told(), driver(connection).cursor() as cursor:
        yield cursor


@contextmanager
def _told() -> Iterator[None]:
    """The driver's errors as SQLAlchemy would raise them, for a caller knows only those."""
    try:
        yield
    except psycopg.Error as error:
        raise DBAPIError.instance(None, None, error, psycopg.Error) from error
