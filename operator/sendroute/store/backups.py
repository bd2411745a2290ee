"""Backups: a store as one SQLite file, whichever database it was taken from.

A backup holds the record at one revision: history, relays' rows and sealed credentials included,
the key not. It is taken while others write, appears whole or not at all, is readable by its owner
alone and was checked. It is a store itself, so an older one is brought forward like a store; but
on a copy, for a backup is never changed.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError
from sendroute.model.records import Status
from sendroute.model.remedy import Perform, Task
from sendroute.store import queries
from sendroute.store.atomic_create import created_atomically, require_absent
from sendroute.store.backend import open_database
from sendroute.store.copy import Advance, copy_all, no_progress
from sendroute.store.database import Database
from sendroute.store.errors import problem
from sendroute.store.schema import schema_version, upgrade_schema
from sendroute.store.sqlite.database import Sqlite, connect
from sendroute.store.tables import HEAD
from sendroute.store.translation import translated_errors
from sendroute.store.url import APPLICATION_ID, check_file, is_postgres, sqlite_path

# Pages between two calls of `advance`: 16 MiB of them.
_PAGES = 4096


def backup_store(
    url: str, target: Path, *, busy_timeout: float = 30.0, advance: Advance = no_progress
) -> Status:
    """Writes a new file, and says what is in it. ``advance`` is told of each number of pages or
    rows that were copied.

    Raises ``store-exists`` where something is at ``target``: nothing is ever written over.
    """
    target = target.absolute()
    with _making(url, busy_timeout, advance) as make:
        require_absent(target)
        with created_atomically(target) as temporary:
            make(temporary)
            with closing(Sqlite(temporary, 0)) as copy, copy.reading() as connection:
                return queries.status(connection)


@contextmanager
def _making(url: str, busy_timeout: float, advance: Advance) -> Iterator[Callable[[Path], None]]:
    """The store is opened before anything is made."""
    if not is_postgres(url):
        path = sqlite_path(url)
        check_file(path)
        yield lambda target: copy_file(path, target, busy_timeout, advance)
        return
    with closing(open_database(url, busy_timeout)) as database:
        upgrade_schema(database)
        yield lambda target: _copy_rows(database, target, advance)


def _copy_rows(database: Database, target: Path, advance: Advance) -> None:
    """One snapshot, table by table, into a store of the same schema."""
    from sendroute.store.migrate import migrate

    with _room_for(target):
        mark(target)
        with closing(Sqlite(target, 0)) as copy:

            def filled(connection: Connection) -> None:
                migrate(connection)
                with translated_errors(database.location), database.reading() as rows:
                    copy_all(rows, connection, advance)

            copy.write(filled)
    with closing(sqlite3.connect(target)) as made:
        check_sound(made, target)


def mark(path: Path, *, journal: str = "DELETE") -> None:
    """A new file becomes one of ours. ``journal`` is kept in it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        raw.execute(f"PRAGMA journal_mode = {journal}")


def copy_file(
    source: Path,
    target: Path,
    busy_timeout: float,
    advance: Advance = no_progress,
    *,
    journal: str = "DELETE",
) -> None:
    """SQLite's own online backup (https://www.sqlite.org/backup.html) of a store or a backup, then
    every check it has. ``journal`` is how changes are made to it: a backup has no log, so that it
    can be read in a place that cannot be written."""
    source = source.absolute()
    check_backup(source)
    done = 0

    def copied(_status: int, left: int, total: int) -> None:
        nonlocal done
        advance(total - left - done)
        done = total - left

    engine = connect(source, busy_timeout)
    try:
        with _told_of(source), closing(engine.raw_connection()) as lent:
            original = lent.driver_connection
            assert isinstance(original, sqlite3.Connection)  # noqa: S101 - what connect() makes
            # One state: within a transaction of its own no writer makes the copy begin anew.
            original.execute("BEGIN")
            original.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            with _room_for(target), closing(sqlite3.connect(target, isolation_level=None)) as copy:
                original.backup(copy, pages=_PAGES, progress=copied)
                check_sound(copy, source)
                copy.execute(f"PRAGMA journal_mode = {journal}")
            original.execute("ROLLBACK")
    finally:
        engine.dispose()


@contextmanager
def open_backup(path: Path, *, busy_timeout: float = 30.0) -> Iterator[Database]:
    """A backup to read from, checked. One of an older version is brought forward on a copy, in the
    folder for temporary files (``TMPDIR``)."""
    path = path.absolute()
    check_backup(path)
    with closing(Sqlite(path, busy_timeout)) as database:
        with _told_of(path):
            with closing(database.engine.raw_connection()) as lent:
                original = lent.driver_connection
                assert isinstance(original, sqlite3.Connection)  # noqa: S101 - what connect() makes
                check_sound(original, path)
            with database.reading() as connection:
                older = schema_version(connection, str(path)) != HEAD
        if not older:
            yield database
            return
    with TemporaryDirectory(prefix="sendroute-") as folder:
        copy = Path(folder) / "backup.db"
        copy.touch(0o600)
        copy_file(path, copy, busy_timeout)
        with closing(Sqlite(copy, busy_timeout, location=str(path))) as database:
            upgrade_schema(database)
            yield database


def check_backup(path: Path) -> None:
    """Refuses what is no backup by its first bytes, and says what it looks like instead."""
    if not os.path.lexists(path):
        raise ProblemError(
            finding(
                "unreadable",
                f"There is no backup at {path}.",
                hint="Give a file that was written as a backup.",
            )
        )
    try:
        check_file(path)
    except ProblemError as problem_:
        if any(found.code == "wrong-store" for found in problem_.findings):
            raise _no_backup(path) from problem_
        raise


def _no_backup(path: Path) -> ProblemError:
    hint = "Give a file that was written as a backup."
    remedy = None
    if path.is_dir():
        return problem("wrong-store", f"{path} is a folder, not a backup.", hint)
    if path.is_file():
        with path.open("rb") as file:
            is_json = file.read(1) == b"{"
        if is_json:
            hint = "If it is a lock file, create the store from it."
            remedy = Perform(Task.RESTORE_FROM_LOCK_FILE, str(path))
    return problem("wrong-store", f"{path} is not a backup of a Sendroute store.", hint, remedy)


def check_sound(connection: sqlite3.Connection, source: Path) -> None:
    """Every page and every key, and that it says whose it is."""
    sound = connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    if not sound or connection.execute("PRAGMA foreign_key_check").fetchone():
        raise damaged(source)
    if connection.execute("SELECT count(*) FROM store").fetchone() != (1,):
        raise damaged(source)


def damaged(source: Path) -> ProblemError:
    return problem(
        "store-failed",
        f"{source} is damaged, so nothing was made from it.",
        "Take an older backup, or create the store from its lock file.",
        Perform(Task.RESTORE_FROM_LOCK_FILE),
    )


@contextmanager
def _told_of(source: Path) -> Iterator[None]:
    """As of a store, but what is to be done about a damaged one is something else."""
    try:
        with translated_errors(str(source)):
            yield
    except ProblemError as error:
        cause = getattr(error.__cause__, "orig", error.__cause__)
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise damaged(source) from error
        raise


@contextmanager
def _room_for(target: Path) -> Iterator[None]:
    """A full disk is the target's, whatever else may be wrong is the source's."""
    try:
        yield
    except (sqlite3.OperationalError, DBAPIError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        if code not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise
        raise problem(
            "store-failed",
            f"There is no room in {target.parent}, or its disk failed.",
            "Nothing was written. Make room and try again, or name a file on another disk.",
        ) from error
