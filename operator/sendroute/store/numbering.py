"""A writing transaction's beginning and end: its id, and the revision that it makes of the store.

Between the two it holds only the accounts that it writes (and the store's own row from when it
gives a profile its id), so that a change of a million domains keeps no other account waiting.
"""

from uuid import uuid4

from sqlalchemy import Connection, func, insert, select, update

from sendroute.model.stamp import Stamp
from sendroute.store.tables import revision, revision_id, store


def begin(connection: Connection, stamp: Stamp, attempt: str | None = None) -> int:
    """The id that this transaction's rows carry. To be taken under the locks of its accounts, so
    that within one account ids rise as the numbers do. ``attempt`` tells it from every other
    transaction, also from one that has the same number in a store restored from a backup."""
    number = _next_id(connection)
    connection.execute(
        insert(revision).values(
            id=number,
            at=stamp.at,
            actor=stamp.actor,
            source_commit=stamp.source_commit,
            attempt=attempt or str(uuid4()),
        )
    )
    return number


def _next_id(connection: Connection) -> int:
    """From a sequence where several may write at once. SQLite has none, and its writer is alone."""
    if connection.dialect.supports_sequences:
        number: int = connection.scalar(revision_id)
    else:
        last = select(func.coalesce(func.max(revision.c.id), -1) + 1)
        number = connection.execute(last).scalar_one()
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
