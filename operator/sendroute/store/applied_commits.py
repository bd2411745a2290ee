"""The commits that manifests were applied from last, by which an older tree is recognised.

They are no part of the history: a revision has its own commit. They are also recorded if applying a
commit changes nothing, and they never refer to a revision.
"""

from collections.abc import Collection

from sqlalchemy import Connection, delete, func, select

from sendroute.model.ancestry import AppliedCommit
from sendroute.store.bulk import insert_into
from sendroute.store.tables import applied_commit as table


def read(connection: Connection) -> list[AppliedCommit]:
    """The commits, in order."""
    rows = connection.execute(select(table).order_by(table.c.source_commit))
    return [AppliedCommit(row.source_commit, row.repository) for row in rows]


def record(
    connection: Connection, applied: AppliedCommit, replaced: Collection[AppliedCommit]
) -> None:
    """Insert a commit and delete those that it replaces. Another process may record the same one
    at the same time."""
    for other in replaced:
        if other.commit != applied.commit:
            connection.execute(delete(table).where(table.c.source_commit == other.commit))
    inserted = insert_into(connection, table).values(
        source_commit=applied.commit, repository=applied.repository
    )
    connection.execute(
        inserted.on_conflict_do_update(
            index_elements=[table.c.source_commit],
            set_={"repository": func.coalesce(inserted.excluded.repository, table.c.repository)},
        )
    )
