"""Creates a store: empty, from a lock file or from a backup. It is created completely or not at
all."""

import os
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import DataError, IntegrityError

from sendroute.model.change import ChangeReason
from sendroute.model.codes import Trait, has_trait
from sendroute.model.problem import ProblemError
from sendroute.model.provenance import Provenance
from sendroute.model.secret import SecretBinding
from sendroute.store import endpoints, lockfile, revisions
from sendroute.store.atomic_create import created_atomically, remove_with_logs, require_absent
from sendroute.store.backups import copy_file, damage_of_backup, damaged, mark, open_backup
from sendroute.store.content import check_content
from sendroute.store.copy import Advance, copy_all, no_progress
from sendroute.store.database import Database
from sendroute.store.errors import WrongValueError, exists, problem, something_else_exists
from sendroute.store.history import add_store_entry
from sendroute.store.lock_text import contradictory
from sendroute.store.migrate import migrate
from sendroute.store.record import Store, open_store
from sendroute.store.restore import advance_ids, fill_from_lock
from sendroute.store.schema import schema_version, upgrade_schema
from sendroute.store.sqlite.database import Sqlite
from sendroute.store.tables import store
from sendroute.store.translation import translated_errors
from sendroute.store.url import BUSY_TIMEOUT, check_file, is_postgres, sqlite_path

Decrypts = Callable[[str, SecretBinding], bool]


def init_store(
    url: str,
    provenance: Provenance,
    *,
    from_lock: Path | None = None,
    from_backup: Path | None = None,
    decrypts: Decrypts | None = None,
    busy_timeout: float = BUSY_TIMEOUT,
    advance: Advance = no_progress,
) -> Store:
    """Create a store and open it: empty, from a lock file or from a backup.

    From a lock file the store gets lineage and state, and the next revision number; from a backup
    also the history. A history entry says how it was created. Profile ids and versions that the
    lost store may have assigned are skipped (:mod:`sendroute.store.restore`).

    Args:
        url: the URL of the new store.
        provenance: who creates it, and when.
        from_lock: the lock file; None for none.
        from_backup: the backup; None for none.
        decrypts: whether the given keys decrypt a credential of the backup. If they decrypt none,
            the history says so, and the credentials may be encrypted again from their secrets.
        busy_timeout: seconds to wait for another writer.
        advance: called with each number of copied rows.

    Returns:
        The open store; the caller closes it.

    Raises:
        ProblemError: ``store-exists`` if something is at ``url``; ``unreadable``, ``wrong-store``
            or ``store-failed`` if the lock file or the backup cannot be used.
    """
    lock = lockfile.read(from_lock) if from_lock is not None else None

    def fill(connection: Connection, commit_id: str | None = None) -> None:
        migrate(connection)
        if lock is not None and from_lock is not None:
            _from_lock(connection, lock, provenance, from_lock, commit_id)
        else:
            _new(connection, provenance, commit_id)

    if is_postgres(url):
        if from_backup is None:
            _create_database(url, fill, busy_timeout)
        else:
            _database_from_backup(url, provenance, from_backup, decrypts, busy_timeout, advance)
    elif from_backup is None:
        _create_file(url, fill, busy_timeout)
    else:
        _file_from_backup(url, provenance, from_backup, decrypts, busy_timeout, advance)
    try:
        return open_store(url, busy_timeout=busy_timeout)
    except BaseException:  # for example the disk has no room for the shared memory of the log
        if not is_postgres(url):
            remove_with_logs(sqlite_path(url))
        raise


def require_no_store(url: str, *, busy_timeout: float = BUSY_TIMEOUT) -> None:
    """Check that a store can be created, before anything else is created for it.

    Args:
        url: the URL of the store.
        busy_timeout: how many seconds to wait for another process.

    Raises:
        ProblemError: something is there (``store-exists``), the URL is invalid (``invalid-value``),
            the server cannot be reached or the directory does not exist (``store-failed``).
    """
    if not is_postgres(url):
        path = sqlite_path(url)
        if os.path.lexists(path):
            raise exists(str(path)) if _may_be_store(path) else something_else_exists(str(path))
        require_absent(path)
        _require_directory(path.parent)
        return
    from sendroute.store.postgres.database import Postgres
    from sendroute.store.postgres.server import server_of

    with (
        closing(Postgres(server_of(url), busy_timeout)) as database,
        translated_errors(database.location),
        database.reading() as connection,
    ):
        if database.has_anything(connection):
            raise exists(database.location)


def _may_be_store(path: Path) -> bool:
    """Whether a path leads to a store, or to something that cannot be read now."""
    try:
        check_file(path)
    except ProblemError as problem:
        return has_trait(problem.findings[0].code, Trait.TRANSIENT)
    return True


def _require_directory(directory: Path) -> None:
    """Of another error, creating a file there says more."""
    try:
        directory.stat()
    except FileNotFoundError as error:
        raise problem(
            "store-failed",
            f"The directory of the store, {directory}, does not exist.",
            "Create the directory (mkdir), or specify another path.",
        ) from error
    except OSError:
        pass


def _create_file(url: str, fill: Callable[[Connection], None], busy: float) -> None:
    path = sqlite_path(url)
    require_absent(path)
    with translated_errors(str(path)), created_atomically(path) as temporary:
        # With a write-ahead log from the start, a disk that is full when the file is closed would
        # leave pages in the log, without an error.
        mark(temporary)
        with closing(Sqlite(temporary, busy, location=str(path))) as database:
            database.write(_checked(database, fill))
        mark(temporary, journal="WAL")


def _file_from_backup(
    url: str,
    provenance: Provenance,
    backup: Path,
    decrypts: Decrypts | None,
    busy: float,
    advance: Advance,
) -> None:
    path = sqlite_path(url)
    require_absent(path)
    with (
        damage_of_backup(backup),
        translated_errors(str(path)),
        created_atomically(path) as temporary,
    ):
        copy_file(backup, temporary, busy, advance)
        with closing(Sqlite(temporary, busy, location=str(backup))) as database:
            upgrade_schema(database)
            database.write(
                lambda connection: _record_restored(connection, provenance, backup, decrypts)
            )
        mark(temporary, journal="WAL")


def _database_from_backup(
    url: str,
    provenance: Provenance,
    backup: Path,
    decrypts: Decrypts | None,
    busy: float,
    advance: Advance,
) -> None:
    """Copy the backup row by row. The backup is opened first, so that its errors are not reported
    as errors of the database."""

    def fill(connection: Connection, commit_id: str) -> None:
        migrate(connection)
        with source.reading() as rows:
            try:
                copy_all(rows, connection, advance)
            except (IntegrityError, DataError, ValueError) as error:
                raise damaged(backup) from error
        _record_restored(connection, provenance, backup, decrypts, commit_id)

    with open_backup(backup, busy_timeout=busy) as source, damage_of_backup(backup):
        _create_database(url, fill, busy)


def _create_database(url: str, fill: Callable[[Connection, str], None], busy: float) -> None:
    """Create the schema and its content in one transaction that excludes other writers: if two
    processes create the store at once, one of them fails."""
    from sendroute.store.postgres.database import Postgres
    from sendroute.store.postgres.server import server_of

    commit_id = str(uuid.uuid4())
    with closing(Postgres(server_of(url), busy)) as database:

        def create(connection: Connection) -> None:
            if database.has_anything(connection):
                raise exists(database.location)
            database.prepare(connection)
            _checked(database, lambda connection: fill(connection, commit_id))(connection)

        with translated_errors(database.location):
            database.write(create, alone=True, commit_id=commit_id)


def _checked(
    database: Database, fill: Callable[[Connection], None]
) -> Callable[[Connection], None]:
    """Fill a new store, and check its schema before the commit, as each opening will do. A setting
    of the database can change what the migrations create, and nothing of that may stay."""

    def checked(connection: Connection) -> None:
        fill(connection)
        schema_version(database, connection)

    return checked


def _new(connection: Connection, provenance: Provenance, commit_id: str | None) -> None:
    _insert_store(connection, provenance, str(uuid.uuid4()), 0)
    now = revisions.begin(connection, provenance, commit_id)
    message = "The store was created."
    add_store_entry(connection, now, "create", ChangeReason.INITIALISED, message)
    revisions.number_first(connection, now)


def _insert_store(
    connection: Connection, provenance: Provenance, lineage: str, revision: int
) -> None:
    connection.execute(
        insert(store).values(
            id=1, lineage=lineage, revision=revision, last_profile=0, created_at=provenance.at
        )
    )


def _from_lock(
    connection: Connection,
    lock: lockfile.Lock,
    provenance: Provenance,
    path: Path,
    commit_id: str | None,
) -> None:
    _insert_store(connection, provenance, lock.lineage, lock.revision)
    try:
        now = fill_from_lock(connection, lock, provenance, commit_id)
    except IntegrityError as error:
        raise ProblemError(contradictory(path)) from error
    message = f"The store was created from a lock file of revision {lock.revision}."
    add_store_entry(
        connection,
        now,
        "create",
        ChangeReason.RESTORED_FROM_LOCK,
        message,
        restored_to=lock.revision,
    )
    revisions.end(connection, now)


def _record_restored(
    connection: Connection,
    provenance: Provenance,
    source: Path,
    decrypts: Decrypts | None,
    commit_id: str | None = None,
) -> None:
    try:
        check_content(connection)
    except WrongValueError as error:
        raise damaged(source) from error
    before = connection.execute(select(store.c.revision)).scalar_one()
    now = revisions.begin(connection, provenance, commit_id)
    message = f"The store was created from the backup {source.name} of revision {before}."
    reason = ChangeReason.RESTORED_FROM_BACKUP
    if decrypts is not None and endpoints.decrypts_none(connection, decrypts):
        reason = ChangeReason.RESTORED_WITHOUT_KEY
        message += " None of its credentials could be decrypted with the given key."
    add_store_entry(connection, now, "create", reason, message, restored_to=before)
    advance_ids(connection, now)
    revisions.end(connection, now)
