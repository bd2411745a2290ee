"""Makes a store: new, from a lock file, or from a backup. It appears whole or not at all."""

import os
import secrets
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError
from sendroute.model.stamp import Stamp
from sendroute.store import lockfile, numbering
from sendroute.store.address import APPLICATION_ID, check_file, sqlite_path, unusable
from sendroute.store.database import connect, writing
from sendroute.store.endpoints import fill
from sendroute.store.migrate import migrate
from sendroute.store.past import STORE_KIND
from sendroute.store.problems import problem, told_plainly
from sendroute.store.record import Store, bring_forward, open_store
from sendroute.store.restoring import restore
from sendroute.store.tables import history, store


def init_store(
    url: str,
    stamp: Stamp,
    *,
    from_lock: Path | None = None,
    from_backup: Path | None = None,
    busy_timeout: float = 30.0,
) -> Store:
    """Makes a store where there is none; at most one of the two sources is given.

    From a lock file it has that store's lineage and state and the revision after that one's; from
    a backup the history too. A history row says how it was made.
    """
    path = sqlite_path(url)
    _refuse_what_is_there(path)
    lock = lockfile.read(from_lock) if from_lock is not None else None
    with told_plainly(str(path)), _in_the_making(path) as temporary:
        if from_backup is not None:
            copy_of(from_backup, temporary, busy_timeout)
        else:
            with closing(sqlite3.connect(temporary, isolation_level=None)) as raw:
                raw.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                raw.execute("PRAGMA journal_mode = WAL")  # kept in the file
        engine = connect(temporary, busy_timeout)
        try:
            if from_backup is not None:
                bring_forward(engine, str(from_backup))
            with writing(engine) as connection:
                if from_backup is not None:
                    _say_restored(connection, stamp, from_backup)
                elif lock is not None and from_lock is not None:
                    migrate(connection)
                    _from_lock(connection, lock, stamp, from_lock)
                else:
                    migrate(connection)
                    _new(connection, stamp)
        finally:
            engine.dispose()
    return open_store(url, busy_timeout=busy_timeout)


def backup_store(url: str, target: Path, *, busy_timeout: float = 30.0) -> None:
    """Copies a store while others use it; the copy is one consistent state, checked."""
    path = sqlite_path(url)
    check_file(path)
    _refuse_what_is_there(target.absolute())
    with told_plainly(str(path)), _in_the_making(target.absolute()) as temporary:
        copy_of(path, temporary, busy_timeout)


def copy_of(source: Path, target: Path, busy_timeout: float) -> None:
    """SQLite's own online backup (https://www.sqlite.org/backup.html), then every check it has."""
    source = source.absolute()
    if not source.exists():
        raise ProblemError(
            finding(
                "unreadable",
                f"There is no backup at {source}.",
                hint="Name a file that `sendroute backup` wrote.",
            )
        )
    check_file(source)
    engine = connect(source, busy_timeout)
    try:
        with told_plainly(str(source)), closing(engine.raw_connection()) as lent:
            original = lent.driver_connection
            assert isinstance(original, sqlite3.Connection)  # noqa: S101 - what connect() makes
            with closing(sqlite3.connect(target, isolation_level=None)) as copy:
                original.backup(copy)
                sound = copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                if not sound or copy.execute("PRAGMA foreign_key_check").fetchone():
                    raise problem(
                        "store-failed",
                        f"{source} is damaged, so no store was made from it.",
                        "Take an older backup, or a lock file (`sendroute init --from-lock`).",
                    )
    finally:
        engine.dispose()


def _refuse_what_is_there(path: Path) -> None:
    """A log without its database counts: SQLite would play it into the new one."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-journal"):
        there = path.with_name(name)
        if os.path.lexists(there):
            raise problem(
                "store-exists",
                f"{there} exists, and `init` never writes over anything.",
                "Use the store that is there, or move it (and what lies beside it) away first.",
            )


@contextmanager
def _in_the_making(path: Path) -> Iterator[Path]:
    """A file under a temporary name, which takes ``path`` when the block ends well."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise unusable(path.parent, error) from error
    try:
        yield temporary
        try:
            _publish(temporary, path)
        except OSError as error:
            raise unusable(path, error) from error
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            temporary.with_name(temporary.name + suffix).unlink(missing_ok=True)


def _publish(temporary: Path, path: Path) -> None:
    """A link, unlike a rename, never takes the place of what another process made meanwhile."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        _refuse_what_is_there(path)
        raise
    except OSError:  # some network and desktop file systems have no links
        _refuse_what_is_there(path)
        temporary.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _new(connection: Connection, stamp: Stamp) -> None:
    connection.execute(
        insert(store).values(
            id=1, lineage=str(uuid.uuid4()), revision=0, last_profile=0, created_at=stamp.at
        )
    )
    own = numbering.begin(connection, stamp)
    _say(connection, own, "initialised", "The store was made.")
    numbering.settle(connection, own)


def _from_lock(connection: Connection, lock: lockfile.Lock, stamp: Stamp, path: Path) -> None:
    connection.execute(
        insert(store).values(
            id=1,
            lineage=lock.lineage,
            revision=lock.revision,
            last_profile=0,
            created_at=stamp.at,
        )
    )
    own = numbering.begin(connection, stamp)
    try:
        restore(connection, lock, own)
        fill(connection, own)
    except IntegrityError as error:
        raise lockfile.contradictory(path) from error
    message = f"The store was made from a lock file of revision {lock.revision}."
    _say(connection, own, "restored-from-lock", message)
    numbering.end(connection, own)


def _say_restored(connection: Connection, stamp: Stamp, source: Path) -> None:
    before = connection.execute(select(store.c.revision)).scalar_one()
    own = numbering.begin(connection, stamp)
    message = f"The store was made from the backup {source.name} of revision {before}."
    _say(connection, own, "restored-from-backup", message)
    numbering.end(connection, own)


def _say(connection: Connection, own: int, reason: str, message: str) -> None:
    connection.execute(
        insert(history).values(
            revision=own,
            namespace="",
            account="",
            kind=STORE_KIND,
            name="",
            action="create",
            reason=reason,
            message=message,
        )
    )
