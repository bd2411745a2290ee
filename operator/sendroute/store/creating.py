"""Makes a store: new, from a lock file, or from a backup. It appears whole or not at all."""

import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from sendroute.model.stamp import Stamp
from sendroute.store import lockfile, numbering
from sendroute.store.address import APPLICATION_ID, is_postgres, sqlite_path
from sendroute.store.appearing import in_the_making, refuse_what_is_there
from sendroute.store.backups import copy_file
from sendroute.store.endpoints import fill
from sendroute.store.migrate import migrate
from sendroute.store.past import STORE_KIND
from sendroute.store.problems import exists, told_plainly
from sendroute.store.record import Store, bring_forward, open_store
from sendroute.store.restoring import restore
from sendroute.store.sqlite import Sqlite
from sendroute.store.tables import history, store

INIT = "`init`"


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
    lock = lockfile.read(from_lock) if from_lock is not None else None

    def filled(connection: Connection, attempt: str | None = None) -> None:
        migrate(connection)
        if lock is not None and from_lock is not None:
            _from_lock(connection, lock, stamp, from_lock, attempt)
        else:
            _new(connection, stamp, attempt)

    if is_postgres(url):
        _in_a_database(url, filled, busy_timeout)
    else:
        _in_a_file(url, stamp, filled, from_backup, busy_timeout)
    return open_store(url, busy_timeout=busy_timeout)


def _in_a_file(
    url: str, stamp: Stamp, filled: Callable[[Connection], None], backup: Path | None, busy: float
) -> None:
    path = sqlite_path(url)
    refuse_what_is_there(path, INIT)
    with told_plainly(str(path)), in_the_making(path, INIT) as temporary:
        if backup is not None:
            copy_file(backup, temporary, busy)
        else:
            with closing(sqlite3.connect(temporary, isolation_level=None)) as raw:
                raw.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                raw.execute("PRAGMA journal_mode = WAL")  # kept in the file
        place = str(path if backup is None else backup)
        with closing(Sqlite(temporary, busy, place=place)) as database:
            if backup is None:
                database.write(filled)
            else:
                bring_forward(database)
                database.write(lambda connection: _say_restored(connection, stamp, backup))


def _in_a_database(url: str, filled: Callable[[Connection, str], None], busy: float) -> None:
    """The schema and all in it in one transaction, alone: of two that come at once one wins."""
    from sendroute.store.postgres import Postgres
    from sendroute.store.server import server_of

    attempt = str(uuid.uuid4())
    with closing(Postgres(server_of(url), busy)) as database:

        def made(connection: Connection) -> None:
            if database.has_tables(connection):
                raise exists(database.place)
            database.prepare(connection)
            filled(connection, attempt)

        with told_plainly(database.place):
            database.write(made, alone=True, attempt=attempt)


def _new(connection: Connection, stamp: Stamp, attempt: str | None) -> None:
    connection.execute(
        insert(store).values(
            id=1, lineage=str(uuid.uuid4()), revision=0, last_profile=0, created_at=stamp.at
        )
    )
    own = numbering.begin(connection, stamp, attempt)
    _say(connection, own, "initialised", "The store was made.")
    numbering.settle(connection, own)


def _from_lock(
    connection: Connection, lock: lockfile.Lock, stamp: Stamp, path: Path, attempt: str | None
) -> None:
    connection.execute(
        insert(store).values(
            id=1,
            lineage=lock.lineage,
            revision=lock.revision,
            last_profile=0,
            created_at=stamp.at,
        )
    )
    own = numbering.begin(connection, stamp, attempt)
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
