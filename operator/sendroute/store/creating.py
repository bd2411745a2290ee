"""Makes a store: new, from a lock file, or from a backup. It appears whole or not at all."""

import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from sendroute.model.stamp import Stamp
from sendroute.store import going_back, lockfile, numbering
from sendroute.store.address import APPLICATION_ID, sqlite_path
from sendroute.store.appearing import in_the_making, refuse_what_is_there
from sendroute.store.backups import copy_file
from sendroute.store.copying import Advance, unheeded
from sendroute.store.database import connect, writing
from sendroute.store.endpoints import fill
from sendroute.store.migrate import migrate
from sendroute.store.problems import told_plainly
from sendroute.store.record import Store, bring_forward, open_store
from sendroute.store.recording import say
from sendroute.store.restoring import restore
from sendroute.store.tables import store

INIT = "`init`"


def init_store(
    url: str,
    stamp: Stamp,
    *,
    from_lock: Path | None = None,
    from_backup: Path | None = None,
    busy_timeout: float = 30.0,
    advance: Advance = unheeded,
) -> Store:
    """Makes a store where there is none; at most one of the two sources is given.

    From a lock file it has that store's lineage and state and the revision after that one's; from
    a backup the history too. A history row says how it was made. What may be older than the store
    that was lost gives no number again (:mod:`sendroute.store.going_back`).
    """
    path = sqlite_path(url)
    refuse_what_is_there(path, INIT)
    lock = lockfile.read(from_lock) if from_lock is not None else None
    with told_plainly(str(path)), in_the_making(path, INIT) as temporary:
        if from_backup is not None:
            copy_file(from_backup, temporary, busy_timeout, advance, journal="WAL")
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


def _new(connection: Connection, stamp: Stamp) -> None:
    connection.execute(
        insert(store).values(
            id=1, lineage=str(uuid.uuid4()), revision=0, last_profile=0, created_at=stamp.at
        )
    )
    own = numbering.begin(connection, stamp)
    say(connection, own, "create", "initialised", "The store was made.")
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
    going_back.take_over(connection, lock.head, stamp)
    own = numbering.begin(connection, stamp)
    try:
        restore(connection, lock, own)
        fill(connection, own)
    except IntegrityError as error:
        raise lockfile.contradictory(path) from error
    message = f"The store was made from a lock file of revision {lock.revision}."
    say(connection, own, "create", "restored-from-lock", message)
    numbering.end(connection, own)


def _say_restored(connection: Connection, stamp: Stamp, source: Path) -> None:
    before = connection.execute(select(store.c.revision)).scalar_one()
    own = numbering.begin(connection, stamp)
    message = f"The store was made from the backup {source.name} of revision {before}."
    say(connection, own, "create", "restored-from-backup", message)
    going_back.leap(connection, own)
    numbering.end(connection, own)
