"""A writing transaction's beginning and end: its id, and the revision that it makes of the store.

Between the two it holds only the accounts that it writes, so that a change of a million domains
keeps no other account waiting.
"""

from uuid import uuid4

from sqlalchemy import Connection, cast, func, insert, select, update
from sqlalchemy.dialects.postgresql import REGCLASS

from sendroute.model.provenance import Provenance
from sendroute.store.tables import profile, profile_id, revision, revision_id, store


def begin(connection: Connection, provenance: Provenance, attempt: str | None = None) -> int:
    """The id that this transaction's rows carry. To be taken under the locks of its accounts, so
    that within one account ids rise as the numbers do. ``attempt`` tells it from every other
    transaction, also from one that has the same number in a store restored from a backup."""
    number = _next_id(connection)
    connection.execute(
        insert(revision).values(
            id=number,
            at=provenance.at,
            actor=provenance.actor,
            source_commit=provenance.source_commit,
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
    values = {"revision": store.c.revision + 1}
    if connection.dialect.supports_sequences:
        # At once, for the trigger would raise it profile by profile.
        highest = select(func.max(profile.c.id)).scalar_subquery()
        values["last_profile"] = func.greatest(store.c.last_profile, highest)
    connection.execute(update(store).values(values))
    return assess(connection, own)


def assess(connection: Connection, own: int) -> int:
    """Gives the transaction the store's present revision as its number."""
    number: int = connection.execute(select(store.c.revision)).scalar_one()
    connection.execute(update(revision).where(revision.c.id == own).values(number=number))
    return number


def next_profile(connection: Connection) -> int:
    """The id of a new profile, above every one that was given; to be used at once, for ids of
    others are taken meanwhile."""
    if connection.dialect.supports_sequences:
        number: int = connection.scalar(profile_id)
    else:
        number = connection.execute(select(store.c.last_profile + 1)).scalar_one()
    return number


def continue_profiles(connection: Connection) -> None:
    """To be called alone, where ``last_profile`` was written: new ids come after it."""
    if connection.dialect.supports_sequences:
        last = select(store.c.last_profile).scalar_subquery()
        never_back = func.greatest(last, profile_id.next_value())
        connection.execute(select(func.setval(cast(profile_id.name, REGCLASS), never_back)))
