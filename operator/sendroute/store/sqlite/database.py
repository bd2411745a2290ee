"""A store in one SQLite file.

Write-ahead log: a plan that reads a million rows for two seconds and an agent that asks for the
revision every moment never hold up a commit, nor a long commit them, and a kill leaves the state
before or after. ``synchronous = FULL``, because what ``apply`` says is done must outlast a power
cut, which in this mode NORMAL does not promise (https://www.sqlite.org/pragma.html#pragma_synchronous).
"""

import os
import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool

from sendroute.model.owner import Owner
from sendroute.store.database import Watch
from sendroute.store.sqlite.watch import FileWatch
from sendroute.store.url import check_file, sqlite_path

T = TypeVar("T")

_WRITES = "sendroute_writes"

_PRAGMAS = (
    "PRAGMA foreign_keys = ON",
    # REPLACE then fires the triggers that keep history append-only.
    "PRAGMA recursive_triggers = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA synchronous = FULL",
    # KiB: a scan of the whole store gains nothing from more.
    "PRAGMA cache_size = -8192",
    # After a large change the log is cut down to this again.
    "PRAGMA journal_size_limit = 16777216",
)


def open_sqlite(url: str, busy_timeout: float) -> "Sqlite":
    path = sqlite_path(url)
    check_file(path)
    return Sqlite(path, busy_timeout)


class Sqlite:
    """A file that exists. Its writer is alone, whatever it writes."""

    def __init__(self, path: Path, busy_timeout: float, *, location: str | None = None) -> None:
        self.location = str(path) if location is None else location
        self._path = path
        self._busy_timeout = busy_timeout
        self.engine = connect(path, busy_timeout)

    def reading(self) -> AbstractContextManager[Connection]:
        return reading(self.engine)

    def write(
        self,
        work: Callable[[Connection], T],
        *,
        accounts: Collection[Owner] = (),  # noqa: ARG002
        alone: bool = False,  # noqa: ARG002
        commit_id: str | None = None,  # noqa: ARG002
    ) -> T:
        with writing(self.engine) as connection:
            return work(connection)

    def write_over(self, work: Callable[[Connection], T], commit_id: str) -> T:  # noqa: ARG002
        """While another process reads the store, the log keeps old pages until the next one that
        finds it at rest."""
        with writing(self.engine) as connection:
            connection.exec_driver_sql("PRAGMA secure_delete = ON")
            try:
                done = work(connection)
            finally:
                connection.exec_driver_sql("PRAGMA secure_delete = OFF")
        with closing(self.engine.raw_connection()) as lent:
            lent.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
        return done

    def watch(self) -> Watch:
        return FileWatch(_opened(self._path, self._busy_timeout), self.location)

    def close(self) -> None:
        self.engine.dispose()


def connect(path: Path, busy_timeout: float) -> Engine:
    """An engine on a file that exists. ``busy_timeout`` in seconds: how long another writer is
    waited for. A file or folder that this process may not write is opened for reading."""

    engine = create_engine(
        "sqlite://", creator=lambda: _opened(path, busy_timeout), poolclass=QueuePool
    )
    event.listen(engine, "begin", _begin)
    return engine


def _opened(path: Path, busy_timeout: float) -> sqlite3.Connection:
    raw = sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?{_mode(path)}",
        uri=True,
        timeout=busy_timeout,
        isolation_level=None,  # transactions are begun by us, below
        check_same_thread=False,  # the pool lends a connection to one thread at a time
    )
    for pragma in _PRAGMAS:
        raw.execute(pragma)
    return raw


def _mode(path: Path) -> str:
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return "mode=rw"
    log = path.with_name(path.name + "-wal")
    # Without a log nobody writes it and it is whole; but to read it SQLite would make the log's
    # shared memory beside it, which it cannot here (https://www.sqlite.org/wal.html#readonly).
    return "mode=ro" if log.exists() and log.stat().st_size else "mode=ro&immutable=1"


# KiB: the pages of a large change stay in memory until they are written once, to the log.
_WRITING_CACHE = "PRAGMA cache_size = -65536"


def _begin(connection: Connection) -> None:
    # A writer takes its lock at once: one that reads first and writes later could not wait for
    # another (https://www.sqlite.org/isolation.html).
    writes = connection.get_execution_options().get(_WRITES)
    if writes:
        connection.exec_driver_sql(_WRITING_CACHE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One transaction that sees one state."""
    with engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction: all of it, or on any error none."""
    with engine.connect() as connection:
        connection = connection.execution_options(**{_WRITES: True})
        with connection.begin():
            yield connection
