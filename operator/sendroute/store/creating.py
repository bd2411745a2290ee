"""Makes a store: new, from a lock file, or from a backup. It appears whole or not at all."""

import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import DataError, IntegrityError

from sendroute.model.provenance import Provenance
from sendroute.store import going_back, lockfile, revisions
from sendroute.store.address import is_postgres, sqlite_path
from sendroute.store.atomic_create import in_the_making, refuse_what_is_there
from sendroute.store.backups import copy_file, damaged, mark, open_backup
from sendroute.store.copying import Advance, copy_all, unheeded
from sendroute.store.endpoints import fill
from sendroute.store.errors import exists
from sendroute.store.migrate import migrate
from sendroute.store.problems import told_plainly
from sendroute.store.record import Store, bring_forward, open_store
from sendroute.store.recording import say
from sendroute.store.restoring import restore
from sendroute.store.sqlite.database import Sqlite
from sendroute.store.tables import store

INIT = "`init`"


def init_store(
    url: str,
    provenance: Provenance,
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
    lock = lockfile.read(from_lock) if from_lock is not None else None

    def filled(connection: Connection, attempt: str | None = None) -> None:
        migrate(connection)
        if lock is not None and from_lock is not None:
            _from_lock(connection, lock, provenance, from_lock, attempt)
        else:
            _new(connection, provenance, attempt)

    if is_postgres(url):
        if from_backup is None:
            _in_a_database(url, filled, busy_timeout)
        else:
            _of_a_backup(url, provenance, from_backup, busy_timeout, advance)
    elif from_backup is None:
        _in_a_file(url, filled, busy_timeout)
    else:
        _of_a_copy(url, provenance, from_backup, busy_timeout, advance)
    return open_store(url, busy_timeout=busy_timeout)


def _in_a_file(url: str, filled: Callable[[Connection], None], busy: float) -> None:
    path = sqlite_path(url)
    refuse_what_is_there(path, INIT)
    with told_plainly(str(path)), in_the_making(path, INIT) as temporary:
        mark(temporary, journal="WAL")
        with closing(Sqlite(temporary, busy, place=str(path))) as database:
            database.write(filled)


def _of_a_copy(
    url: str, provenance: Provenance, backup: Path, busy: float, advance: Advance
) -> None:
    path = sqlite_path(url)
    refuse_what_is_there(path, INIT)
    with told_plainly(str(path)), in_the_making(path, INIT) as temporary:
        copy_file(backup, temporary, busy, advance, journal="WAL")
        with closing(Sqlite(temporary, busy, place=str(backup))) as database:
            bring_forward(database)
            database.write(lambda connection: _say_restored(connection, provenance, backup))


def _of_a_backup(
    url: str, provenance: Provenance, backup: Path, busy: float, advance: Advance
) -> None:
    """Row by row; the backup is opened first, for what is wrong with it has nothing to do with the
    database."""

    def filled(connection: Connection, attempt: str) -> None:
        migrate(connection)
        with source.reading() as rows:
            try:
                copy_all(rows, connection, advance)
            except (IntegrityError, DataError) as error:
                raise damaged(backup) from error
        _say_restored(connection, provenance, backup, attempt)

    with open_backup(backup, busy_timeout=busy) as source:
        _in_a_database(url, filled, busy)


def _in_a_database(url: str, filled: Callable[[Connection, str], None], busy: float) -> None:
    """The schema and all in it in one transaction, alone: of two that come at once one wins."""
    from sendroute.store.postgres.database import Postgres
    from sendroute.store.postgres.server import server_of

    attempt = str(uuid.uuid4())
    with closing(Postgres(server_of(url), busy)) as database:

        def made(connection: Connection) -> None:
            if database.has_anything(connection):
                raise exists(database.place)
            database.prepare(connection)
            filled(connection, attempt)

        with told_plainly(database.place):
            database.write(made, alone=True, attempt=attempt)


def _new(connection: Connection, provenance: Provenance, attempt: str | None) -> None:
    connection.execute(
        insert(store).values(
            id=1, lineage=str(uuid.uuid4()), revision=0, last_profile=0, created_at=provenance.at
        )
    )
    own = revisions.begin(connection, provenance, attempt)
    say(connection, own, "create", "initialised", "The store was made.")
    revisions.assess(connection, own)


def _from_lock(
    connection: Connection,
    lock: lockfile.Lock,
    provenance: Provenance,
    path: Path,
    attempt: str | None,
) -> None:
    connection.execute(
        insert(store).values(
            id=1,
            lineage=lock.lineage,
            revision=lock.revision,
            last_profile=0,
            created_at=provenance.at,
        )
    )
    going_back.take_over(connection, lock.head, provenance)
    own = revisions.begin(connection, provenance, attempt)
    try:
        restore(connection, lock, own)
        fill(connection, own)
    except IntegrityError as error:
        raise lockfile.contradictory(path) from error
    message = f"The store was made from a lock file of revision {lock.revision}."
    say(connection, own, "create", "restored-from-lock", message)
    revisions.end(connection, own)


def _say_restored(
    connection: Connection, provenance: Provenance, source: Path, attempt: str | None = None
) -> None:
    before = connection.execute(select(store.c.revision)).scalar_one()
    own = revisions.begin(connection, provenance, attempt)
    message = f"The store was made from the backup {source.name} of revision {before}."
    say(connection, own, "create", "restored-from-backup", message)
    going_back.leap(connection, own)
    revisions.end(connection, own)
