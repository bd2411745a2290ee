"""The two databases that a store may lie in, as the goals about stores use them: new stores, and
copies of a filled one, so that each round begins with the same."""

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
        """The URL of a store just made."""
        ...

    def copy(self, url: str) -> str:
        """The URL of a second one with the same content, which nobody has open."""
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
    """A server with the settings it is delivered with: it writes through to the disk."""

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
        """Updates of domains since the database was made, and how many of them touched an index.
        ``expected`` is the first: the server counts a session's when that has ended."""
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
    with Cluster(hasty=False, settings=()) as cluster:
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
