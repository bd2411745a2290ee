"""Direct access to the database of a store, without the store's code."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
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


def put(path: Path, table: str, column: str, value: object) -> None:
    """Write a value against every rule of the schema, which is the same afterwards."""
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        schema = raw.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
        raw.execute("PRAGMA writable_schema = ON")
        raw.execute("DELETE FROM sqlite_schema WHERE type = 'trigger'")
        triggers = [(name, sql) for name, sql in schema if sql.startswith("CREATE TRIGGER")]
        loose = "replace(sql, ' NOT NULL,', ',')"
        raw.execute(f"UPDATE sqlite_schema SET sql = {loose} WHERE name = ?", [table])  # noqa: S608
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("PRAGMA ignore_check_constraints = ON")
        last = "" if table == "switched" else f" WHERE rowid = (SELECT max(rowid) FROM {table})"  # noqa: S608
        with suppress(sqlite3.IntegrityError):  # the number of a row takes integers only
            raw.execute(f"UPDATE OR IGNORE {table} SET {column} = ?{last}", [value])  # noqa: S608
        raw.execute("PRAGMA writable_schema = ON")
        for name, sql in schema:
            raw.execute("UPDATE sqlite_schema SET sql = ? WHERE name = ?", [sql, name])
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        for _, sql in triggers:
            raw.execute(sql)
