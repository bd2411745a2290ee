"""The commits that manifests were applied from last, by which an older tree is recognised.

They are no part of the history: a revision has its own commit. They are also recorded if applying a
commit changes nothing, and they never refer to a revision.
"""

from collections.abc import Collection, Iterable

from sqlalchemy import Connection, delete, func, select, text

from sendroute.model.ancestry import AppliedCommit
from sendroute.store.bulk import insert_into
from sendroute.store.errors import newer_tree
from sendroute.store.tables import applied_commit as table


def read(connection: Connection) -> list[AppliedCommit]:
    """The commits, in order."""
    rows = connection.execute(select(table).order_by(table.c.source_commit))
    return [AppliedCommit(row.source_commit, row.repository) for row in rows]


def record(
    connection: Connection,
    trees: Iterable[AppliedCommit],
    replaced: Collection[AppliedCommit],
    seen: Collection[AppliedCommit],
) -> None:
    """Insert commits and delete those that they replace. No other writer does so meanwhile: SQLite
    has one writer, and PostgreSQL locks the table.

    Raises :class:`~sendroute.model.problem.StaleError` if there is a commit that is not in
    ``seen``: it was not compared, and may be newer.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE"))
    if not set(_names(connection)) <= {item.commit for item in seen}:
        raise newer_tree()
    kept = {tree.commit for tree in trees}
    for other in replaced:
        if other.commit not in kept:
            connection.execute(delete(table).where(table.c.source_commit == other.commit))
    for tree in trees:
        inserted = insert_into(connection, table).values(
            source_commit=tree.commit, repository=tree.repository
        )
        repository = func.coalesce(inserted.excluded.repository, table.c.repository)
        connection.execute(
            inserted.on_conflict_do_update(
                index_elements=[table.c.source_commit], set_={"repository": repository}
            )
        )


def check(connection: Connection, commits: Collection[str]) -> None:
    """Check that these commits are among those applied last, and keep them so until the end of the
    transaction.

    Raises :class:`~sendroute.model.problem.StaleError` if one was replaced: another tree of its
    repository is applied.
    """
    if not commits:
        return
    # Who replaces one waits (https://www.postgresql.org/docs/current/explicit-locking.html).
    kept = select(table.c.source_commit).where(table.c.source_commit.in_(sorted(commits)))
    if set(connection.execute(kept.with_for_update(read=True)).scalars()) != set(commits):
        raise newer_tree()


def _names(connection: Connection) -> Iterable[str]:
    return connection.execute(select(table.c.source_commit)).scalars()
