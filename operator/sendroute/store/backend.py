"""Which of the two databases a store's URL names. Its driver is only imported if it is needed."""

from sendroute.store.database import Database
from sendroute.store.url import is_postgres


def open_database(url: str, busy_timeout: float) -> Database:
    """The database at a URL, which exists and has a store's mark.

    ``busy_timeout``: seconds to wait for another writer. Raises
    :class:`~sendroute.model.problem.ProblemError` if it cannot be opened or is not a store.
    """
    if is_postgres(url):
        from sendroute.store.postgres.database import open_postgres  # its driver costs 0.1 s

        return open_postgres(url, busy_timeout)
    from sendroute.store.sqlite.database import open_sqlite

    return open_sqlite(url, busy_timeout)
