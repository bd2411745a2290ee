"""Which of several operators leads, as the store knows it: one row, whose number each new leader
raises.

A Lease of Kubernetes is no fence: a leader that was paused may write after another one took over.
So a leader checks the number in each transaction that it writes.

The row also holds which versions of the objects the leader had seen then: the next leader, whose
watches may lag behind, reconciles nothing older.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
from sqlalchemy import Connection, select, update

from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError
from sendroute.store.bulk import insert_into
from sendroute.store.states import decoded
from sendroute.store.tables import epoch as table


def raise_epoch(connection: Connection, leader: str) -> int:
    """Begin a new epoch. Returns its number."""
    before = connection.execute(select(table.c.number).with_for_update()).scalar_one_or_none()
    number = (before or 0) + 1
    values = {"number": number, "leader": leader, "raised_at": datetime.now(UTC)}
    new = insert_into(connection, table).values(id=1, **values)
    connection.execute(new.on_conflict_do_update(index_elements=[table.c.id], set_=values))
    return number


def check_epoch(connection: Connection, number: int, versions: Mapping[str, int]) -> None:
    """Check that this is the current epoch, and record what its leader has seen. On PostgreSQL,
    nobody raises the epoch before this transaction ends.

    Args:
        connection: the transaction that will write.
        number: the epoch of the writer.
        versions: for each kind the newest version of its objects that the writer has seen.

    Raises:
        ProblemError: another leader has raised the epoch (``leader-replaced``).
    """
    row = connection.execute(
        # A row that is updated later must not be shared until then: two writers would deadlock.
        select(table.c.number, table.c.leader, table.c.object_versions).with_for_update(
            read=not versions
        )
    ).one_or_none()
    if row is None or row.number != number:
        now = f": {row.leader}" if row is not None else ""
        raise ProblemError(
            finding(
                "leader-replaced",
                f"Another operator leads now{now}.",
                hint="Nothing was written. This process ends, and starts again as a standby.",
            )
        )
    seen = json.dumps(dict(versions), sort_keys=True)
    if versions and row.object_versions != seen:
        connection.execute(update(table).values(object_versions=seen))


def object_versions(connection: Connection) -> dict[str, int]:
    """The newest versions of the objects that a leader had seen when it wrote last, by kind."""
    text = connection.execute(select(table.c.object_versions)).scalar_one_or_none()
    return {} if text is None else decoded(msgspec.json.Decoder(dict[str, int]), str(text))
