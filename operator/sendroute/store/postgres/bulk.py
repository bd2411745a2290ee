"""Reads and writes many rows in the ways that are fastest in PostgreSQL."""

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

from sendroute.store.database import Row
from sendroute.store.postgres.database import driver

_numbers = count()


def insert_rows(
    connection: Connection, statement: Insert, names: Sequence[str], rows: Iterable[Row]
) -> int:
    """Insert rows with COPY instead of INSERT. ``names`` are the columns of each row. Returns the
    number of rows."""
    copy = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(statement.table.name), sql.SQL(", ").join(map(sql.Identifier, names))
    )
    remaining = iter(rows)
    first = next(remaining, None)
    if first is None:
        return 0
    with _cursor(connection) as cursor:
        with cursor.copy(copy) as stream:
            stream.write_row(first)
            for row in remaining:
                stream.write_row(row)
        return cursor.rowcount


def update_rows(
    connection: Connection, statement: Update, names: Sequence[str], rows: Sequence[Row]
) -> int:
    """Update rows with one UPDATE … FROM: the bound parameters become columns of arrays that are
    unnested and joined to the table. Returns the number of updated rows."""
    arrays = {
        name: list(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)
    }
    types = {
        name: Integer() if isinstance(values[0], int) else Text() for name, values in arrays.items()
    }
    staged = (
        func.unnest(
            *(bindparam(name, values, type_=ARRAY(types[name])) for name, values in arrays.items())
        )
        .table_valued(*(column(name, types[name]) for name in names), name="staged")
        .render_derived()
    )

    def column_of_parameter(element: Any, **_: Any) -> Any:
        return (
            staged.c[element.key]
            if isinstance(element, BindParameter) and element.key in arrays
            else None
        )

    joined: Any = replacement_traverse(statement, {}, column_of_parameter)
    updated: int = connection.execute(joined).rowcount
    return updated


@contextmanager
def server_cursor(
    connection: Connection, statement: Select[Any]
) -> Iterator[psycopg.ServerCursor[Row]]:
    """A server-side cursor: the server keeps the rows until they are fetched."""
    compiled = statement.compile(connection, compile_kwargs={"render_postcompile": True})
    raw = driver(connection)
    with _sqlalchemy_errors():
        cursor = raw.cursor(name=f"sendroute_{next(_numbers)}")  # several may be open
        try:
            cursor.execute(str(compiled), compiled.params)
            yield cursor
        finally:
            _close(raw, cursor)


def _close(raw: psycopg.Connection[Row], cursor: psycopg.ServerCursor[Row]) -> None:
    try:
        cursor.close()
    except psycopg.Error:
        raw.close()  # the server cannot close the cursor; the driver then considers it closed
        cursor.close()
        raise


@contextmanager
def _cursor(connection: Connection) -> Iterator[psycopg.Cursor[Row]]:
    with _sqlalchemy_errors(), driver(connection).cursor() as cursor:
        yield cursor


@contextmanager
def _sqlalchemy_errors() -> Iterator[None]:
    """Raises errors of the driver as SQLAlchemy does, because callers handle only those."""
    try:
        yield
    except psycopg.Error as error:
        raise DBAPIError.instance(None, None, error, psycopg.Error) from error
