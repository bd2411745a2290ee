"""A writing transaction's beginning and end: its id, and the revision that it makes of the store.

Between the two it holds only the accounts that it writes (and the store's own row from when it
gives a profile its id), so that a change of a million domains keeps no other account waiting.
"""

from sqlalchemy import Connection, func, insert, select, update

from sendroute.model.stamp import Stamp
from sendroute.store.tables import revision, store


def begin(connection: Connection, stamp: Stamp, attempt: str | None = None) -> int:
    """The id that this transaction's rows carry. To be taken under the locks of its accounts, so
    that within one account ids rise as the numbers do."""
    last = select(func.coalesce(func.max(revision.c.id), -1) + 1)
    number: int = connection.execute(last).scalar_one()
    connection.execute(
        insert(revision).values(
            id=number,
            at=stamp.at,
            actor=stamp.actor,
            source_commit=stamp.source_commit,
            attempt=attempt,
        )
    )
    return number


def end(connection: Connection, own: int) -> int:
    """The transaction's last act: the store's next revision, whose row stays locked until the
    commit. So revisions are seen in their order, and who sees one has seen all before it."""
    connection.execute(update(store).values(revision=store.c.revision + 1))
    return settle(connection, own)


def settle(connection: Connection, own: int) -> int:
    """Gives the transaction the store's present revision as its number."""
    number: int = connection.execute(select(store.c.revision)).scalar_one()
    connection.execute(update(revision).where(revision.c.id == own).values(number=number))
    return number
