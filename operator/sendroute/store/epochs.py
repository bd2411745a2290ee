"""Which of several operators leads, as the store knows it: one row, whose number each new leader
raises.

A Lease of Kubernetes is no fence: a leader that was paused may write after another one took over.
So a leader checks the number in each transaction that it writes.
"""

from datetime import UTC, datetime

from sqlalchemy import Connection, select

from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError
from sendroute.store.bulk import insert_into
from sendroute.store.tables import epoch as table


def raise_epoch(connection: Connection, leader: str) -> int:
    """Begin a new epoch. Returns its number."""
    before = connection.execute(select(table.c.number).with_for_update()).scalar_one_or_none()
    number = (before or 0) + 1
    values = {"number": number, "leader": leader, "raised_at": datetime.now(UTC)}
    new = insert_into(connection, table).values(id=1, **values)
    connection.execute(new.on_conflict_do_update(index_elements=[table.c.id], set_=values))
    return number


def check_epoch(connection: Connection, number: int) -> None:
    """Check that this is the current epoch. On PostgreSQL, nobody raises it before this transaction
    ends.

    Args:
        connection: the transaction that will write.
        number: the epoch of the writer.

    Raises:
        ProblemError: another leader has raised the epoch (``leader-replaced``).
    """
    row = connection.execute(
        select(table.c.number, table.c.leader).with_for_update(read=True)
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
