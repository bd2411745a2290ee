"""The two databases of a store, as the goals about stores use them: new stores, and copies of a
filled store, so that each round starts from the same state."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Protocol

from lab import PROGRAM, Lab
from measuring import run
from psycopg import sql
from tests.postgres import Cluster


class Database(Protocol):
    name: str

    def new(self) -> str:
        """Create a store and return its URL."""
        ...

    def copy(self, url: str) -> str:
        """Copy a store that no process has open, and return the URL of the copy."""
        ...

    def drop(self, url: str) -> None: ...


class Sqlite:
    name = "SQLite"

    def __init__(self, room: Path) -> None:
        self._room = room
        self._numbers = count()

    def new(self) -> str:
        return _initialised(self._url(), self._room)

    def copy(self, url: str) -> str:
        other = self._url()
        shutil.copyfile(_file(url), _file(other))
        return other

    def drop(self, url: str) -> None:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{_file(url)}{suffix}").unlink(missing_ok=True)

    def _url(self) -> str:
        return f"sqlite:///{self._room}/{next(self._numbers)}.db"


class Postgres:
    """A server with PostgreSQL's default settings: it writes through to the disk."""

    name = "PostgreSQL"

    def __init__(self, room: Path, cluster: Cluster) -> None:
        self._room = room
        self._cluster = cluster

    def new(self) -> str:
        return _initialised(self._cluster.url(self._cluster.create_database()), self._room)

    def copy(self, url: str) -> str:
        name = f"{_name(url)}_copy"
        with self._cluster.connect() as connection:
            statement = "CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy"
            names = (sql.Identifier(name), sql.Identifier(_name(url)))
            connection.execute(sql.SQL(statement).format(*names))
        return self._cluster.url(name)

    def drop(self, url: str) -> None:
        self._cluster.drop_database(_name(url))

    def updates(self, url: str, expected: int) -> tuple[int, int]:
        """The updates of domains since the database was created, and how many changed an index.

        Waits until the first is ``expected``, because the server counts the updates of a session
        when it has ended.
        """
        counted = (
            "SELECT n_tup_upd, n_tup_upd - n_tup_hot_upd FROM pg_stat_user_tables"
            " WHERE relname = 'domain'"
        )
        deadline = time.monotonic() + 10
        with self._cluster.connect(_name(url)) as connection:
            while True:
                row = connection.execute(counted).fetchone()
                assert row is not None
                if row[0] == expected or time.monotonic() > deadline:
                    return int(row[0]), int(row[1])
                time.sleep(0.05)


@contextmanager
def databases(lab: Lab) -> Iterator[tuple[Sqlite, Postgres]]:
    with Cluster(no_sync=False, settings=()) as cluster:
        yield Sqlite(lab.room), Postgres(lab.room, cluster)


def _initialised(url: str, room: Path) -> str:
    run([*PROGRAM, "--store", url, "--key-file", str(_key(room)), "init"])
    return url


def _key(room: Path) -> Path:
    from cryptography.fernet import Fernet

    key = room / "bench.key"
    if not key.exists():
        key.write_bytes(Fernet.generate_key())
        key.chmod(0o600)
    return key


def _file(url: str) -> str:
    return url.removeprefix("sqlite:///")


def _name(url: str) -> str:
    return url.rpartition("/")[2]
