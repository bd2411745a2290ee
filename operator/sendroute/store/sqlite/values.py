"""Checks the type of every value that is read from a SQLite file.

SQLite stores any value in any column (https://www.sqlite.org/datatype3.html), and a file from a
stranger may hold NULL where the schema forbids it. PostgreSQL checks types itself. So every row of
a SELECT passes through here before any code sees it.
"""

import sqlite3
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Column, DateTime, Engine, Integer, Label, Select, String, event
from sqlalchemy.types import TypeDecorator, TypeEngine

from sendroute.store.database import Row
from sendroute.store.errors import WrongValueError

Types = tuple[frozenset[type] | None, ...]
"""The types that each column may have; None for an expression of any type."""


def check_values(engine: Engine) -> None:
    """Check every row that is read through this engine. A read raises :class:`WrongValueError` at
    a row that has a value of a wrong type."""
    event.listen(engine, "after_cursor_execute", _check_rows)


def _check_rows(
    _connection: Any, cursor: Any, _sql: str, _parameters: Any, context: Any, _many: bool
) -> None:
    statement = getattr(context.compiled, "statement", None)
    if isinstance(statement, Select):
        cursor.row_factory = _checker(types_of(statement))


@lru_cache(256)
def _checker(types: Types) -> Callable[[sqlite3.Cursor, Row], Row]:
    def check(_cursor: sqlite3.Cursor, row: Row) -> Row:
        for value, allowed in zip(row, types, strict=True):
            if allowed is not None and type(value) not in allowed:
                raise WrongValueError("a value has the wrong type")
        return row

    return check


def check_columns(types: Types, rows: Sequence[Row]) -> None:
    """Check many rows at once, which is faster than one by one. Raises :class:`WrongValueError`."""
    for allowed, values in zip(types, zip(*rows, strict=True), strict=False):
        if allowed is not None and not allowed.issuperset(map(type, values)):
            raise WrongValueError("a value has the wrong type")


def types_of(statement: Select[Any]) -> Types:
    """The types that the columns of a statement may have."""
    return tuple(map(_types, statement.selected_columns))


def _types(selected: Any) -> frozenset[type] | None:
    kind = _kind(selected.type)
    if kind is None:
        return None
    known = _TYPES[kind]
    column = selected.element if isinstance(selected, Label) else selected
    required = isinstance(column, Column) and not column.nullable
    return known if required else known | {type(None)}


def _kind(declared: TypeEngine[Any]) -> type | None:
    """What SQLite should store: a time is text there."""
    if isinstance(declared, TypeDecorator):
        return _kind(declared.impl_instance)
    return next((kind for kind in _TYPES if isinstance(declared, kind)), None)


_TYPES: dict[type, frozenset[type]] = {
    String: frozenset({str}),
    DateTime: frozenset({str}),
    Integer: frozenset({int}),
}
