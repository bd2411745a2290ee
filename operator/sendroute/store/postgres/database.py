"""A store in a PostgreSQL database, for several hosts at once.

Its tables are in the schema ``sendroute``, so that the database can be shared. No settings are made
on a session: each transaction sets what it needs when it begins, so a connection pooler can be
used.

A read sees one snapshot. A write first takes advisory locks, which end with the transaction: a
shared lock on the store, which a rekey or a migration takes exclusively, and a lock on each account
that it changes, always in the same order. So writers of different accounts do not wait for each
other, and the fence of a plan decides between writers of the same account.
"""

import hashlib
import logging
import random
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, create_engine, event, select, text
from sqlalchemy.exc import DBAPIError

from sendroute.model.owner import Owner, owner_names
from sendroute.store.database import CommitWatch
from sendroute.store.errors import missing, problem
from sendroute.store.postgres.catalog import objects
from sendroute.store.postgres.connect import connect
from sendroute.store.postgres.errors import MAY_PASS, NotConnectedError, no_privilege
from sendroute.store.postgres.server import Server, server_of
from sendroute.store.tables import revision
from sendroute.store.translation import translated_errors

T = TypeVar("T")

_log = logging.getLogger(__name__)

SCHEMA = "sendroute"

_WRITES = "sendroute_writes"
# pg_temp last, so that no temporary table hides a table of the store
# (https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-SEARCH-PATH).
_PATH = f"SET LOCAL search_path = {SCHEMA}, pg_temp"
# The driver reads dates only in this form, and the schema is compared in this spelling, but the
# database or the role may set another. Quoting comes first, because a function is created with the
# text of the path.
_SETTINGS = f"SET LOCAL quote_all_identifiers = off; SET LOCAL datestyle = 'ISO'; {_PATH}"
_READ = f"BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; {_SETTINGS}"
# Ends the transaction of a writer whose host crashed or hangs; otherwise its accounts would stay
# locked for hours.
_WRITE = (
    f"BEGIN ISOLATION LEVEL READ COMMITTED; {_SETTINGS};"
    " SET LOCAL idle_in_transaction_session_timeout = '60s'; SET LOCAL lock_timeout = {}"
)

# With more accounts in one transaction the store is locked instead, because the server's lock table
# is shared by all (https://www.postgresql.org/docs/current/runtime-config-locks.html).
_MAX_LOCKS = 500
# How often a transaction is tried after conflicts with others, and for how many seconds after the
# connection was lost.
_MAX_CONFLICTS = 8
_RECONNECT_TIMEOUT = 30.0
_VACUUM_TIMEOUT = 10.0


def open_postgres(url: str, busy_timeout: float) -> "Postgres":
    """Open the database of an existing store.

    Raises :class:`~sendroute.model.problem.ProblemError` if there is none, or if this user may not
    use it.
    """
    database = Postgres(server_of(url), busy_timeout)
    try:
        with translated_errors(database.location), database.reading() as connection:
            if not database.has_anything(connection):
                raise missing(database.location)
            allowed = text("SELECT has_schema_privilege(:name, 'USAGE')")
            if not connection.execute(allowed, {"name": SCHEMA}).scalar():
                # Without this right the tables are not found, as if they did not exist.
                raise no_privilege(database.location)
    except BaseException:  # also if interrupted: nothing else closes it
        database.close()
        raise
    return database


class Postgres:
    """A database, with or without a store in it."""

    def __init__(self, server: Server, busy_timeout: float) -> None:
        self.location = server.location
        self._server = server
        self._begin_write = _WRITE.format(max(1, round(busy_timeout * 1000)))  # 0 means no limit
        self.engine = create_engine(
            "postgresql+psycopg://",
            creator=self._connect,
            # So that a restart of the server does not fail the next call.
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
        """One transaction; a writer must commit it."""
        with self.engine.connect() as connection:
            raw = driver(connection)
            try:
                yield connection.execution_options(**{_WRITES: writes})
            finally:
                # A lost connection, or one that was interrupted in a statement, cannot roll back.
                if raw.closed or raw.info.transaction_status is TransactionStatus.ACTIVE:
                    connection.invalidate()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._connection(writes=False) as connection:
            connection.begin()  # because a server-side cursor does not begin it
            yield connection

    def objects(self, connection: Connection) -> Sequence[tuple[str, str]]:
        return objects(connection, _PATH)

    def write(
        self,
        work: Callable[[Connection], T],
        *,
        accounts: Collection[Owner] = (),
        alone: bool = False,
        commit_id: str | None = None,
    ) -> T:
        tries = _RetryPolicy()
        results: list[T] = []
        while True:
            try:
                with self._connection(writes=True) as connection:
                    _lock(connection, accounts, alone=alone)
                    # With the locks held, an earlier commit has either succeeded or failed.
                    if results and commit_id is not None and _is_recorded(connection, commit_id):
                        return results[-1]
                    results.append(work(connection))
                    connection.commit()
                    return results[-1]
            except (DBAPIError, psycopg.Error) as error:
                if not tries.should_retry(error):
                    raise

    def write_over(self, work: Callable[[Connection], T], commit_id: str) -> T:
        """The server's write-ahead log and its backups keep the old rows as configured; rows that a
        long read may still see remain until the next call."""
        result = self.write(work, alone=True, commit_id=commit_id)
        try:
            with self._connect() as raw:
                reason = None if _vacuumed(raw) else "other transactions read them"
        except psycopg.Error as error:
            reason = error.sqlstate or "the connection was lost"
        if reason is not None:  # only a warning, because the new values are committed
            _log.warning(
                "old rows remain in the files of %s (%s); remove them with VACUUM FULL %s.endpoint",
                self.location,
                reason,
                SCHEMA,
            )
        return result

    def has_anything(self, connection: Connection) -> bool:
        """Whether the schema contains anything, even a function. An administrator may have created
        an empty one (https://www.postgresql.org/docs/current/catalog-pg-depend.html)."""
        query = text(
            "SELECT EXISTS (SELECT FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass"
            " AND refobjid = to_regnamespace(:name) AND deptype = 'n')"
        )
        return bool(connection.execute(query, {"name": SCHEMA}).scalar())

    def prepare(self, connection: Connection) -> None:
        """Create the schema, unless an administrator has created it.

        Raises :class:`~sendroute.model.problem.ProblemError` if the database is not in UTF-8.
        """
        if driver(connection).info.parameter_status("server_encoding") != "UTF8":
            raise problem(
                "store-failed",
                f"The encoding of the database {self.location} is not UTF8.",
                "Create another: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0.",
            )
        exists = text("SELECT to_regnamespace(:name) IS NOT NULL")
        if not connection.execute(exists, {"name": SCHEMA}).scalar():
            connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))

    def watch(self) -> CommitWatch:
        from sendroute.store.postgres.watch import ServerWatch

        return ServerWatch(self._connect, self.location)

    def close(self) -> None:
        self.engine.dispose()


def driver(connection: Connection) -> psycopg.Connection:
    """The driver's connection."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)  # noqa: S101 - _connect() returns one
    return raw


def _vacuumed(raw: psycopg.Connection) -> bool:
    """Whether VACUUM could lock the table within some seconds. VACUUM runs outside a transaction,
    so a lock timeout would be a setting of the session, which a pooler reuses for other clients."""
    skipped: list[str | None] = []
    raw.add_notice_handler(lambda notice: skipped.append(notice.sqlstate))
    deadline = time.monotonic() + _VACUUM_TIMEOUT
    while True:
        skipped.clear()
        raw.execute(f"VACUUM (FULL, SKIP_LOCKED) {SCHEMA}.endpoint")
        if "55P03" not in skipped:
            return True
        if time.monotonic() > deadline:
            return False
        _wait(0.2)


def _lock(connection: Connection, accounts: Collection[Owner], *, alone: bool) -> None:
    """Lock the store, then the accounts in the order of their lock numbers, so that writers do not
    deadlock."""
    store = _lock_number("store")
    if alone or len(accounts) > _MAX_LOCKS:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": store})
        return
    connection.execute(text("SELECT pg_advisory_xact_lock_shared(:key)"), {"key": store})
    keys = sorted({_lock_number("account", *owner_names(key)) for key in accounts})
    if keys:
        lock_all = text(
            "SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) AS key"
        )
        connection.execute(lock_all, {"keys": keys})


def _lock_number(*names: str) -> int:
    """The 64-bit number of an advisory lock. All users of the database share these numbers."""
    digest = hashlib.blake2b("\0".join((SCHEMA, *names)).encode(), digest_size=8)
    return int.from_bytes(digest.digest(), signed=True)


def _is_recorded(connection: Connection, commit_id: str) -> bool:
    """Whether a revision has this commit id. Without the table the store was not created."""
    has_table = connection.execute(text("SELECT to_regclass('revision') IS NOT NULL")).scalar()
    recorded = select(revision.c.id).where(revision.c.commit_id == commit_id)
    return bool(has_table) and connection.execute(recorded).first() is not None


class _RetryPolicy:
    """Decides whether a failed transaction is retried, and waits for a random time first, so that
    two conflicting transactions do not conflict again."""

    def __init__(self) -> None:
        self._conflicts = 0
        self._losses = 0
        self._deadline: float | None = None

    def should_retry(self, error: DBAPIError | psycopg.Error) -> bool:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if _is_conflict(cause):
            self._conflicts += 1
            _wait(0.01 * 2**self._conflicts)
            return self._conflicts < _MAX_CONFLICTS
        if not _is_lost(cause):
            return False
        if self._deadline is None:
            self._deadline = time.monotonic() + _RECONNECT_TIMEOUT
        self._losses += 1
        _wait(min(0.05 * 2**self._losses, 1.0))
        return time.monotonic() < self._deadline


def _is_conflict(cause: BaseException | None) -> bool:
    """Whether it conflicted with another transaction: the server reports it, or a trigger refuses a
    profile id, because a later id was committed first."""
    if not isinstance(cause, psycopg.Error):
        return False
    overtaken = cause.diag.constraint_name == "profile_id_is_new"
    return overtaken or cause.sqlstate in ("40001", "40P01")


def _is_lost(cause: BaseException | None) -> bool:
    """Whether the connection to the server was lost, and may come back."""
    if isinstance(cause, NotConnectedError):
        return cause.reason in MAY_PASS
    if not isinstance(cause, psycopg.OperationalError):
        return False
    state = cause.sqlstate
    return state is None or state.startswith("08") or state in ("57P01", "57P02", "57P03", "25P03")


def _wait(seconds: float) -> None:
    time.sleep(random.uniform(seconds / 2, seconds))  # noqa: S311 - not a secret
