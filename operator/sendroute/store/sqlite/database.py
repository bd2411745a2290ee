"""A store in one SQLite file.

With the write-ahead log, readers (a plan that reads a million rows, an agent that polls the
revision) and a writer do not block each other, and a killed process leaves the state before or
after its transaction. ``synchronous = FULL``, because what is reported as applied must survive a
power failure; with a write-ahead log NORMAL does not guarantee that
(https://www.sqlite.org/pragma.html#pragma_synchronous).
"""

import os
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool

from sendroute.model.owner import Owner
from sendroute.store.database import CommitWatch
from sendroute.store.sqlite.catalog import objects
from sendroute.store.sqlite.values import check_values
from sendroute.store.sqlite.watch import FileWatch
from sendroute.store.url import check_file, sqlite_path

T = TypeVar("T")

_WRITES = "sendroute_writes"

_PRAGMAS = (
    "PRAGMA foreign_keys = ON",
    # So that REPLACE fires the triggers that keep the history append-only.
    "PRAGMA recursive_triggers = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA synchronous = FULL",
    # In KiB. A larger cache does not make a scan of the whole store faster.
    "PRAGMA cache_size = -8192",
    # The log is truncated to this size after a large change.
    "PRAGMA journal_size_limit = 16777216",
)


def open_sqlite(url: str, busy_timeout: float) -> "Sqlite":
    """Open the store in an existing file. Raises as :func:`~sendroute.store.url.check_file`
    does."""
    path = sqlite_path(url)
    check_file(path)
    return Sqlite(path, busy_timeout)


class Sqlite:
    """A database in an existing file. SQLite allows one writer at a time."""

    def __init__(self, path: Path, busy_timeout: float, *, location: str | None = None) -> None:
        self.location = str(path) if location is None else location
        self._path = path
        self._busy_timeout = busy_timeout
        self.engine = connect(path, busy_timeout)

    def reading(self) -> AbstractContextManager[Connection]:
        return reading(self.engine)

    def objects(self, connection: Connection) -> Sequence[tuple[str, str]]:
        return objects(connection)

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
        """If another process reads the store meanwhile, the log keeps old pages until a later
        checkpoint without readers."""
        with writing(self.engine) as connection:
            connection.exec_driver_sql("PRAGMA secure_delete = ON")
            try:
                result = work(connection)
            finally:
                connection.exec_driver_sql("PRAGMA secure_delete = OFF")
        with closing(self.engine.raw_connection()) as pooled:
            pooled.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
        return result

    def watch(self) -> CommitWatch:
        return FileWatch(_opened(self._path, self._busy_timeout), self.location)

    def close(self) -> None:
        self.engine.dispose()


def connect(path: Path, busy_timeout: float) -> Engine:
    """An engine for an existing file.

    ``busy_timeout`` is the number of seconds to wait for another writer. If this process may not
    write the file or its directory, the file is opened read-only.
    """

    engine = create_engine(
        "sqlite://", creator=lambda: _opened(path, busy_timeout), poolclass=QueuePool
    )
    event.listen(engine, "begin", _begin)
    check_values(engine)
    return engine


def _opened(path: Path, busy_timeout: float) -> sqlite3.Connection:
    raw = sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?{_mode(path)}",
        uri=True,
        timeout=busy_timeout,
        isolation_level=None,  # _begin() starts transactions
        check_same_thread=False,  # the pool lends a connection to one thread at a time
    )
    for pragma in _PRAGMAS:
        raw.execute(pragma)
    return raw


def _mode(path: Path) -> str:
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return "mode=rw"
    log = path.with_name(path.name + "-wal")
    # Without a log there is no writer and the file is complete. But SQLite would create the log's
    # shared memory in the directory, which is read-only (https://www.sqlite.org/wal.html#readonly).
    return "mode=ro" if log.exists() and log.stat().st_size else "mode=ro&immutable=1"


# In KiB. The pages of a large change stay in memory until they are written to the log, once.
_WRITING_CACHE = "PRAGMA cache_size = -65536"


def _begin(connection: Connection) -> None:
    # A writer takes its lock at the beginning, because one that reads first and writes later cannot
    # wait for another (https://www.sqlite.org/isolation.html).
    writes = connection.get_execution_options().get(_WRITES)
    if writes:
        connection.exec_driver_sql(_WRITING_CACHE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A read transaction that sees one state."""
    with engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A write transaction: commits everything, or nothing if the block raises."""
    with engine.connect() as connection:
        connection = connection.execution_options(**{_WRITES: True})
        with connection.begin():
            yield connection
