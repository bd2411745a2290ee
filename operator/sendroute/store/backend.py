"""Opens the database that a store's URL specifies. Only its driver is imported."""

from sendroute.store.database import Database
from sendroute.store.url import is_postgres, sqlite_path


def check_url(url: str) -> None:
    """Check the form of a store's URL, without opening anything.

    Raises:
        InvalidSettingError: the URL is malformed (``invalid-value``).
    """
    if is_postgres(url):
        from sendroute.store.postgres.server import server_of  # takes 0.1 s

        server_of(url)
    else:
        sqlite_path(url)


def open_database(url: str, busy_timeout: float) -> Database:
    """Open the database of an existing store.

    ``busy_timeout`` is the number of seconds to wait for another writer. Raises
    :class:`~sendroute.model.problem.ProblemError` if the database cannot be opened or is not a
    store.
    """
    if is_postgres(url):
        from sendroute.store.postgres.database import open_postgres  # takes 0.1 s

        return open_postgres(url, busy_timeout)
    from sendroute.store.sqlite.database import open_sqlite

    return open_sqlite(url, busy_timeout)
