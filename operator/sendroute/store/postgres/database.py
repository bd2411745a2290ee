"""A store in a PostgreSQL database, for several hosts at once.

Its tables are in the schema ``sendroute``, so that the database may be shared. Nothing is set on a
session: each transaction says what it needs when it begins, so a pooler in front does no harm.

A read is one snapshot. A write takes its locks first (advisory ones, which end with the
transaction): each account that it changes, in one order for all, and its share in the store, which
a rekeying or a migration wants for itself. So writers of different accounts do not wait for each
other, and a plan's fence decides between those of one.
"""

import hashlib
import logging
import random
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, create_engine, event, select, text
from sqlalchemy.exc import DBAPIError

from sendroute.model.owner import Owner, owner_names
from sendroute.store.database import Watch
from sendroute.store.errors import missing, problem
from sendroute.store.postgres.connect import connect
from sendroute.store.postgres.errors import PASSES, NotConnectedError, no_right
from sendroute.store.postgres.server import Server, server_of
from sendroute.store.tables import revision
from sendroute.store.translation import translated_errors

T = TypeVar("T")

_log = logging.getLogger(__name__)

SCHEMA = "sendroute"

_WRITES = "sendroute_writes"
# pg_temp last: else a temporary table would hide one of ours
# (https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-SEARCH-PATH).
_PATH = f"SET LOCAL search_path = {SCHEMA}, pg_temp"
# The driver reads dates in no other form, and the database or the role may have one set.
_FORM = f"{_PATH}; SET LOCAL datestyle = 'ISO'"
_READ = f"BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; {_FORM}"
# A writer whose host died or hangs is given up, or its accounts would stay locked for hours.
_WRITE = (
    f"BEGIN ISOLATION LEVEL READ COMMITTED; {_FORM};"
    " SET LOCAL idle_in_transaction_session_timeout = '60s'; SET LOCAL lock_timeout = {}"
)

# More accounts than this in one transaction lock the store instead: the server's lock table is
# shared by all (https://www.postgresql.org/docs/current/runtime-config-locks.html).
_MOST_LOCKS = 500
# How often a transaction is tried that met another, and for how many seconds a server is waited
# for that went away in the middle.
_MEETINGS = 8
_PATIENCE = 30.0
_VACUUM_PATIENCE = 10.0


def open_postgres(url: str, busy_timeout: float) -> "Postgres":
    database = Postgres(server_of(url), busy_timeout)
    try:
        with translated_errors(database.location), database.reading() as connection:
            if not database.has_anything(connection):
                raise missing(database.location)
            may = text("SELECT has_schema_privilege(:name, 'USAGE')")
            if not connection.execute(may, {"name": SCHEMA}).scalar():
                # Tables that one may not use are not found, as if there were none.
                raise no_right(database.location)
    except BaseException:
        database.close()
        raise
    return database


class Postgres:
    """A database, with a store in it or without."""

    def __init__(self, server: Server, busy_timeout: float) -> None:
        self.location = server.location
        self._server = server
        self._begin_write = _WRITE.format(max(1, round(busy_timeout * 1000)))  # 0 is for ever
        self.engine = create_engine(
            "postgresql+psycopg://",
            creator=self._connect,
            # A connection that a restart of the server has ended is not the next call's problem.
            pool_pre_ping=True,
            hide_parameters=True,
            use_native_hstore=False,
        )
        event.listen(self.engine, "begin", self._begin)

    def _connect(self) -> psycopg.Connection:
        return connect(self._server.conninfo)

    def _begin(self, connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES)
        driver(connection).execute(self._begin_write if writes else _READ)

    @contextmanager
    def _connection(self, *, writes: bool) -> Iterator[Connection]:
        """One transaction; who writes must commit it."""
        with self.engine.connect() as connection:
            own = driver(connection)
            try:
                yield connection.execution_options(**{_WRITES: writes})
            finally:
                # Nobody can roll it back that is lost, or was broken off amid a statement.
                if own.closed or own.info.transaction_status is TransactionStatus.ACTIVE:
                    connection.invalidate()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._connection(writes=False) as connection:
            connection.begin()  # a server cursor may be the first to use it
            yield connection

    def write(
        self,
        work: Callable[[Connection], T],
        *,
        accounts: Collection[Owner] = (),
        alone: bool = False,
        commit_id: str | None = None,
    ) -> T:
        tries = _Tries()
        done: list[T] = []
        while True:
            try:
                with self._connection(writes=True) as connection:
                    _lock(connection, accounts, alone=alone)
                    # Under its own locks a commit that was under way has ended, one way or other.
                    if done and commit_id is not None and _is_recorded(connection, commit_id):
                        return done[-1]
                    done.append(work(connection))
                    connection.commit()
                    return done[-1]
            except (DBAPIError, psycopg.Error) as error:
                if not tries.another(error):
                    raise

    def write_over(self, work: Callable[[Connection], T], commit_id: str) -> T:
        """The server's own log of changes (WAL) and its backups keep the old rows as long as they
        are set to; rows that a long reader may still see stay until the next time."""
        done = self.write(work, alone=True, commit_id=commit_id)
        try:
            with self._connect() as own:
                left = None if _vacuumed(own) else "others are reading them"
        except psycopg.Error as error:
            left = error.sqlstate or "the connection was lost"
        if left is not None:  # what was to be done is done
            _log.warning(
                "old rows are left in the files of %s (%s); remove them by VACUUM FULL %s.endpoint",
                self.location,
                left,
                SCHEMA,
            )
        return done

    def has_anything(self, connection: Connection) -> bool:
        """Whether anything is in the schema, a function say; an empty one may have been made for
        us (https://www.postgresql.org/docs/current/catalog-pg-depend.html)."""
        found = text(
            "SELECT EXISTS (SELECT FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass"
            " AND refobjid = to_regnamespace(:name) AND deptype = 'n')"
        )
        return bool(connection.execute(found, {"name": SCHEMA}).scalar())

    def prepare(self, connection: Connection) -> None:
        """The schema, where nobody has made it for us."""
        if driver(connection).info.parameter_status("server_encoding") != "UTF8":
            raise problem(
                "store-failed",
                f"The database of {self.location} cannot hold every character.",
                "Make another: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0.",
            )
        there = text("SELECT to_regnamespace(:name) IS NOT NULL")
        if not connection.execute(there, {"name": SCHEMA}).scalar():
            connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))

    def watch(self) -> Watch:
        from sendroute.store.postgres.watch import ServerWatch

        return ServerWatch(self._connect, self.location)

    def close(self) -> None:
        self.engine.dispose()


def driver(connection: Connection) -> psycopg.Connection:
    own = connection.connection.driver_connection
    assert isinstance(own, psycopg.Connection)  # noqa: S101 - what _connect() makes
    return own


def _vacuumed(own: psycopg.Connection) -> bool:
    """Whether nobody kept it from being done for some seconds. It is outside of any transaction, so
    that a limit to its waiting would be the session's, which a pooler gives to others next."""
    skipped: list[str | None] = []
    own.add_notice_handler(lambda told: skipped.append(told.sqlstate))
    deadline = time.monotonic() + _VACUUM_PATIENCE
    while True:
        skipped.clear()
        own.execute(f"VACUUM (FULL, SKIP_LOCKED) {SCHEMA}.endpoint")
        if "55P03" not in skipped:
            return True
        if time.monotonic() > deadline:
            return False
        _wait(0.2)


def _lock(connection: Connection, accounts: Collection[Owner], *, alone: bool) -> None:
    """The store's share before the accounts, these in the order of their numbers: who takes locks
    in one order never waits in a circle."""
    store = _number("store")
    if alone or len(accounts) > _MOST_LOCKS:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": store})
        return
    connection.execute(text("SELECT pg_advisory_xact_lock_shared(:key)"), {"key": store})
    keys = sorted({_number("account", *owner_names(key)) for key in accounts})
    if keys:
        each = text("SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) AS key")
        connection.execute(each, {"keys": keys})


def _number(*names: str) -> int:
    """Advisory locks have 64-bit numbers, which all users of the database share."""
    digest = hashlib.blake2b("\0".join((SCHEMA, *names)).encode(), digest_size=8)
    return int.from_bytes(digest.digest(), signed=True)


def _is_recorded(connection: Connection, commit_id: str) -> bool:
    """Where even the table is not there, the making of the store was not done."""
    there = connection.execute(text("SELECT to_regclass('revision') IS NOT NULL")).scalar()
    found = select(revision.c.id).where(revision.c.commit_id == commit_id)
    return bool(there) and connection.execute(found).first() is not None


class _Tries:
    """Whether a transaction that failed is tried again, after a wait whose length is left to
    chance, so that two that met do not meet again."""

    def __init__(self) -> None:
        self._meetings = 0
        self._losses = 0
        self._deadline: float | None = None

    def another(self, error: DBAPIError | psycopg.Error) -> bool:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if _has_met(cause):
            self._meetings += 1
            _wait(0.01 * 2**self._meetings)
            return self._meetings < _MEETINGS
        if not _is_lost(cause):
            return False
        if self._deadline is None:
            self._deadline = time.monotonic() + _PATIENCE
        self._losses += 1
        _wait(min(0.05 * 2**self._losses, 1.0))
        return time.monotonic() < self._deadline


def _has_met(cause: BaseException | None) -> bool:
    """Whether it was in another's way: the server says so, or the trigger to which a profile's id
    is too low, for one that was taken later was committed before it was written."""
    if not isinstance(cause, psycopg.Error):
        return False
    overtaken = cause.diag.constraint_name == "profile_id_is_new"
    return overtaken or cause.sqlstate in ("40001", "40P01")


def _is_lost(cause: BaseException | None) -> bool:
    """Whether the server or the way to it went away, and may come back."""
    if isinstance(cause, NotConnectedError):
        return cause.why in PASSES
    if not isinstance(cause, psycopg.OperationalError):
        return False
    state = cause.sqlstate
    return state is None or state.startswith("08") or state in ("57P01", "57P02", "57P03", "25P03")


def _wait(seconds: float) -> None:
    time.sleep(random.uniform(seconds / 2, seconds))  # noqa: S311 - no secret
