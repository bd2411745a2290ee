"""Direct access to the database of a store, without the store's code."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import Connection

from sendroute.store.database import Database
from sendroute.store.migrate import migrate
from sendroute.store.postgres.database import Postgres
from sendroute.store.postgres.server import server_of
from sendroute.store.sqlite.database import Sqlite
from sendroute.store.url import APPLICATION_ID, is_postgres, sqlite_path

Raw = sqlite3.Connection | psycopg.Connection


@contextmanager
def opened(url: str) -> Iterator[Raw]:
    """A connection of the driver; each statement is a transaction."""
    if is_postgres(url):
        with psycopg.connect(url, autocommit=True) as server:
            server.execute("SET search_path = sendroute")
            yield server
    else:
        with closing(sqlite3.connect(sqlite_path(url), isolation_level=None)) as file:
            file.execute("PRAGMA foreign_keys = ON")
            file.execute("PRAGMA recursive_triggers = ON")
            yield file


def make_old(url: str, version: str, fill: Callable[[Connection], object]) -> None:
    """Create a store with the schema of an older version."""

    def made(connection: Connection) -> None:
        migrate(connection, version)
        fill(connection)

    database: Database
    if is_postgres(url):
        database = server = Postgres(server_of(url), 5)
        server.write(server.prepare, alone=True)
    else:
        path: Path = sqlite_path(url)
        with closing(sqlite3.connect(path)) as raw:
            raw.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        database = Sqlite(path, 5)
    with closing(database):
        database.write(made, alone=True)
