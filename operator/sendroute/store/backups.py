"""Backups: a copy of a store in one SQLite file, whichever database the store uses.

A backup holds the store at one revision, with history, relays and encrypted credentials, but
without the key. It can be taken while other processes write. It is created completely or not at
all, is readable only by its owner, and is checked. Because a backup is itself a store, its schema
can be upgraded; this is done on a copy, so that the backup never changes.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from sendroute.files.regular import regular
from sendroute.model.byte_order_mark import without_mark
from sendroute.model.codes import Code, finding
from sendroute.model.problem import ProblemError
from sendroute.model.records import StoreStatus
from sendroute.model.remedy import Perform, Task
from sendroute.store import queries
from sendroute.store.atomic_create import created_atomically, require_absent
from sendroute.store.backend import open_database
from sendroute.store.copy import Advance, copy_all, no_progress
from sendroute.store.database import Database
from sendroute.store.errors import DamagedError, problem
from sendroute.store.errors import damaged as damaged_store
from sendroute.store.schema import require_our_schema, upgrade_schema
from sendroute.store.sqlite.database import Sqlite
from sendroute.store.tables import HEAD
from sendroute.store.translation import rows_of, translated_errors
from sendroute.store.url import APPLICATION_ID, BUSY_TIMEOUT, check_file, is_postgres, sqlite_path

# Pages that are copied between two calls of `advance`: 16 MiB.
_PAGES = 4096

_LOCK_SUFFIX = ".lock"
_SQLITE = b"SQLite format 3\0"


def backup_store(
    url: str, target: Path, *, busy_timeout: float = BUSY_TIMEOUT, advance: Advance = no_progress
) -> StoreStatus:
    """Write a backup of a store to a new file.

    Args:
        url: the store's URL.
        target: the new file; an existing file is never overwritten.
        busy_timeout: seconds to wait for another writer.
        advance: called with each number of pages or rows that were copied.

    Returns:
        The status of the copy.

    Raises:
        ProblemError: ``store-exists`` if ``target`` exists, or as
            :func:`~sendroute.store.record.open_store`.
    """
    target = target.absolute()
    with (
        _opened_source(url, busy_timeout, advance) as (location, copy_to),
        damage_of_store(location),
    ):
        require_absent(target)
        with created_atomically(target, "The backup") as temporary:
            copy_to(temporary)
            with (
                closing(Sqlite(temporary, 0)) as copy,
                translated_errors(location),
                copy.reading() as connection,
                rows_of(location),
            ):
                return queries.status(connection)


@contextmanager
def _opened_source(
    url: str, busy_timeout: float, advance: Advance
) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """A context with the open store, which is opened before any file is created. Yields its
    location, and a function that copies it to a path."""
    if not is_postgres(url):
        path = sqlite_path(url)
        check_file(path)
        yield str(path), lambda target: copy_file(path, target, busy_timeout, advance)
        return
    with closing(open_database(url, busy_timeout)) as database:
        upgrade_schema(database)
        yield database.location, lambda target: _copy_rows(database, target, advance)


def _copy_rows(database: Database, target: Path, advance: Advance) -> None:
    """Copy one snapshot, table by table, into a new store with the same schema."""
    from sendroute.store.migrate import migrate

    with _target_errors(target):
        mark(target)
        with closing(Sqlite(target, 0)) as copy:

            def fill(connection: Connection) -> None:
                migrate(connection)
                with translated_errors(database.location), database.reading() as rows:
                    copy_all(rows, connection, advance)

            copy.write(fill)
    with closing(sqlite3.connect(target)) as written:
        check_integrity(written, target)


def mark(path: Path, *, journal: str = "DELETE") -> None:
    """Mark a new SQLite file as a Sendroute store, with the journal mode ``journal``."""
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        raw.execute(f"PRAGMA journal_mode = {journal}")


def copy_file(
    source: Path,
    target: Path,
    busy_timeout: float,
    advance: Advance = no_progress,
) -> None:
    """Copy a store or a backup with SQLite's online backup API, and check the copy
    (https://www.sqlite.org/backup.html).

    The copy has no write-ahead log, so that it can be read from a read-only directory. Raises
    :class:`~sendroute.model.problem.ProblemError` if ``source`` is not a store or is damaged, or if
    ``target`` cannot be written.
    """
    source = source.absolute()
    check_backup(source)
    done = 0

    def copied(_status: int, left: int, total: int) -> None:
        nonlocal done
        advance(total - left - done)
        done = total - left

    with closing(Sqlite(source, busy_timeout)) as database, _source_errors(source):
        require_our_schema(database)
        with closing(database.engine.raw_connection()) as pooled:
            original = pooled.driver_connection
            assert isinstance(original, sqlite3.Connection)  # noqa: S101 - connect() returns one
            # Copy one state: without a read transaction, each commit by another process would
            # restart the copy.
            original.execute("BEGIN")
            original.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            with (
                _target_errors(target),
                closing(sqlite3.connect(target, isolation_level=None)) as copy,
            ):
                original.backup(copy, pages=_PAGES, progress=copied)
                check_integrity(copy, source)
                copy.execute("PRAGMA journal_mode = DELETE")
            original.execute("ROLLBACK")


@contextmanager
def open_backup(path: Path, *, busy_timeout: float = BUSY_TIMEOUT) -> Iterator[Database]:
    """A context with a backup to read from, after it was checked.

    The schema of an older backup is upgraded on a copy in the directory for temporary files
    (``TMPDIR``).

    Args:
        path: the backup.
        busy_timeout: seconds to wait for another process that uses the file.

    Yields:
        The backup as a database, to read from.

    Raises:
        ProblemError: ``unreadable`` if there is no file, ``wrong-store`` if it is not a backup,
            ``store-failed`` if it is damaged.
    """
    path = path.absolute()
    check_backup(path)
    with closing(Sqlite(path, busy_timeout)) as database:
        with _source_errors(path):
            version = require_our_schema(database)
            with closing(database.engine.raw_connection()) as pooled:
                original = pooled.driver_connection
                assert isinstance(original, sqlite3.Connection)  # noqa: S101 - connect() returns one
                check_integrity(original, path)
        if version == HEAD:
            yield database
            return
    with TemporaryDirectory(prefix="sendroute-") as directory:
        copy = Path(directory) / "backup.db"
        copy.touch(0o600)
        copy_file(path, copy, busy_timeout)
        with closing(Sqlite(copy, busy_timeout, location=str(path))) as database:
            with damage_of_backup(path):
                upgrade_schema(database)
            yield database


def check_backup(path: Path) -> None:
    """Check the first bytes of a backup.

    Raises :class:`~sendroute.model.problem.ProblemError`: ``unreadable`` if there is no file,
    ``wrong-store`` if it is another kind of file.
    """
    if not os.path.lexists(path):
        raise ProblemError(
            finding(
                "unreadable",
                f"There is no backup at {path}.",
                hint="Specify a backup that Sendroute wrote.",
            )
        )
    try:
        check_file(path)
    except ProblemError as error:
        if any(finding.code == Code.WRONG_STORE for finding in error.findings):
            raise _not_a_backup(path) from error
        raise


def seems_lock_file(path: Path) -> bool:
    """Return whether a file is meant as a lock file, sound or not: by its name, or because it
    begins like JSON or with the mark of a merge. A file that begins like a database is not.

    Args:
        path: the file, which need not exist; a pipe is not read.
    """
    is_named = path.suffix == _LOCK_SUFFIX
    try:
        if not path.is_file():
            return is_named
        with open(path, "rb", opener=regular) as file:
            begin = file.read(64)
    except OSError:
        return is_named  # reported when it is opened
    if begin.startswith(_SQLITE):
        return False
    return is_named or without_mark(begin).lstrip().startswith((b"{", b"[", b"<<<<<<<"))


def _not_a_backup(path: Path) -> ProblemError:
    hint = "Specify a backup that Sendroute wrote."
    remedy = None
    if path.is_dir():
        return problem("wrong-store", f"{path} is a directory, not a backup.", hint)
    if seems_lock_file(path):
        hint = "If the file is a lock file, create the store from the lock file."
        remedy = Perform(Task.RESTORE_FROM_LOCK_FILE, str(path))
    return problem("wrong-store", f"{path} is not a backup of a Sendroute store.", hint, remedy)


def check_integrity(connection: sqlite3.Connection, source: Path) -> None:
    """Check every page and foreign key, and that there is exactly one store row.

    Raises :class:`~sendroute.model.problem.ProblemError` (``store-failed``) if the file is damaged.
    """
    is_intact = connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    if not is_intact or connection.execute("PRAGMA foreign_key_check").fetchone():
        raise damaged(source)
    if connection.execute("SELECT count(*) FROM store").fetchone() != (1,):
        raise damaged(source)


def damaged(source: Path) -> DamagedError:
    return DamagedError(
        finding(
            "store-failed",
            f"The backup {source} is damaged.",
            hint="Nothing was created or changed. Use an older backup, or restore from the lock"
            " file.",
            remedy=Perform(Task.RESTORE),
        )
    )


@contextmanager
def damage_of_backup(source: Path) -> Iterator[None]:
    """Report damage of a store as damage of the backup that is read as a store.

    Args:
        source: the path of the backup, for the message.

    Yields:
        Once, for the block that reads the backup.

    Raises:
        DamagedError: the block found damage; the finding names the backup.
    """
    try:
        yield
    except DamagedError as error:
        raise damaged(source) from error


@contextmanager
def damage_of_store(location: str) -> Iterator[None]:
    """A context that reports damage of what a backup is made from as damage of the store."""
    try:
        yield
    except DamagedError as error:
        raise damaged_store(location) from error


@contextmanager
def _source_errors(source: Path) -> Iterator[None]:
    """Translates errors as for a store, but with the message and hint for a damaged backup."""
    with damage_of_backup(source), translated_errors(str(source)):
        yield


@contextmanager
def _target_errors(target: Path) -> Iterator[None]:
    """Reports a full or failing disk as a problem of the target, which is built in a directory of
    its own that is gone by then; other errors pass through."""
    try:
        yield
    except (sqlite3.OperationalError, DBAPIError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        if code not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise
        raise problem(
            "store-failed",
            f"The disk of {target.parent.parent} is full or failed.",
            "Nothing was written. Free some space and try again, or use another disk.",
        ) from error
