"""Begins and ends a write transaction: its id, and the number of its revision.

In between, the transaction locks only the accounts that it writes, so a change of a million domains
does not block other accounts.
"""

from collections.abc import Sequence
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, cast, func, insert, select, update
from sqlalchemy.dialects.postgresql import REGCLASS

from sendroute.model.provenance import Head, Provenance
from sendroute.store.tables import profile, profile_id, revision, revision_id, store


def head_of(connection: Connection) -> Head:
    """The revision that the store is at."""
    latest = select(revision.c.number, revision.c.commit_id).join(
        store, store.c.revision == revision.c.number
    )
    return Head(*connection.execute(latest).one())


def _is(head: Head) -> ColumnElement[bool]:
    """The row of a commit; a restored store may number it differently."""
    if head.commit_id is None:
        return revision.c.number == head.revision
    return revision.c.commit_id == head.commit_id


def contains(connection: Connection, head: Head) -> bool:
    """Whether that commit is in the store's history, or the store was restored to it."""
    return connection.execute(select(revision.c.id).where(_is(head))).one_or_none() is not None


def number_of(connection: Connection, head: Head) -> int | None:
    """The number of a commit in this store. None if the store does not contain it, or knows it only
    as the one that it was restored to."""
    return connection.execute(select(revision.c.number).where(_is(head))).scalar_one_or_none()


def begin(connection: Connection, provenance: Provenance, commit_id: str | None = None) -> int:
    """Insert the revision of this transaction, still without its number.

    Call it under the locks of the accounts, so that within one account ids rise as the numbers do.
    ``commit_id`` distinguishes it from every other transaction, also from one of the same number in
    a store restored from a backup. Returns the id that this transaction's rows carry.
    """
    return begin_all(connection, provenance, [commit_id or str(uuid4())])[0]


def begin_all(
    connection: Connection, provenance: Provenance, commit_ids: Sequence[str]
) -> list[int]:
    """As :func:`begin`, for several revisions of one transaction, in order."""
    ids = _next_ids(connection, len(commit_ids))
    connection.execute(
        insert(revision),
        [
            {
                "id": number,
                "at": provenance.at,
                "actor": provenance.actor,
                "source_commit": provenance.source_commit,
                "commit_id": commit_id,
            }
            for number, commit_id in zip(ids, commit_ids, strict=True)
        ],
    )
    return ids


def _next_ids(connection: Connection, count: int) -> list[int]:
    """The ids come from a sequence if several processes may write at once. SQLite has one writer
    and no sequences."""
    if connection.dialect.supports_sequences:
        return _from_sequence(connection, revision_id.name, count)
    last = select(func.coalesce(func.max(revision.c.id), -1))
    first: int = connection.execute(last).scalar_one() + 1
    return list(range(first, first + count))


def _from_sequence(connection: Connection, name: str, count: int) -> list[int]:
    numbers = select(func.nextval(cast(name, REGCLASS))).select_from(
        func.generate_series(1, count).alias("numbers")
    )
    return sorted(connection.execute(numbers).scalars())


def end(connection: Connection, now: int) -> int:
    """Make the transaction the store's next revision. This must be its last statement.

    The store's row stays locked until the commit. So revisions become visible in order: a reader
    that sees one also sees all earlier ones. Returns the revision's number.
    """
    return end_all(connection, [now])[0]


def end_all(connection: Connection, ids: Sequence[int]) -> list[int]:
    """As :func:`end`, for several revisions of one transaction, in order."""
    values = {"revision": store.c.revision + len(ids)}
    if connection.dialect.supports_sequences:
        # Set once here; the trigger would update it for every profile.
        highest = select(func.max(profile.c.id)).scalar_subquery()
        values["last_profile"] = func.greatest(store.c.last_profile, highest)
    connection.execute(update(store).values(values))
    last = _present(connection)
    numbers = list(range(last - len(ids) + 1, last + 1))
    for revision_row, number in zip(ids, numbers, strict=True):
        _number(connection, revision_row, number)
    return numbers


def number_first(connection: Connection, now: int) -> int:
    """Give the transaction that creates a store the store's initial revision number, and return
    it."""
    number = _present(connection)
    _number(connection, now, number)
    return number


def _present(connection: Connection) -> int:
    number: int = connection.execute(select(store.c.revision)).scalar_one()
    return number


def _number(connection: Connection, now: int, number: int) -> None:
    connection.execute(update(revision).where(revision.c.id == now).values(number=number))


def next_profiles(connection: Connection, count: int) -> list[int]:
    """Rising ids for new profiles, above every id ever assigned. Use them immediately, because
    other transactions take ids too."""
    if count == 0:
        return []
    if connection.dialect.supports_sequences:
        return _from_sequence(connection, profile_id.name, count)
    last: int = connection.execute(select(store.c.last_profile)).scalar_one()
    return list(range(last + 1, last + 1 + count))


def continue_profiles(connection: Connection) -> None:
    """Continue the sequence of profile ids after ``last_profile``. Call it without other
    writers."""
    if connection.dialect.supports_sequences:
        last = select(store.c.last_profile).scalar_subquery()
        highest = func.greatest(last, profile_id.next_value())
        connection.execute(select(func.setval(cast(profile_id.name, REGCLASS), highest)))
