"""Many rows by one statement, in the driver's own form.

SQLAlchemy compiles the statement once, for whichever database; the rows then go to the driver as
they are. To have it bind each row by name would double the time of a million.
"""

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Insert, Update

from sendroute.store.reading import chunks

# Rows handed to the driver at once: enough that the call costs nothing, few enough for memory.
_BATCH = 10_000


def execute_many(
    connection: Connection,
    statement: Insert | Update,
    names: Sequence[str],
    rows: Iterable[tuple[Any, ...]],
) -> int:
    """Executes it for each row, whose values are those of ``names``: an INSERT's columns, an
    UPDATE's bound parameters. Returns the number of rows that the database says it touched.

    Values reach the driver as they are: text and numbers only, no column type converts them.
    """
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
