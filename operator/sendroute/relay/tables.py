"""The SQLite file that Postfix reads.

Postfix's client for SQLite has no busy timeout, and a statement that cannot be prepared is fatal
for it (sqlite_table(5)). So the file has a write-ahead log, in which readers and the writer do not
block each other; the log stays when the agent stops (``SQLITE_FCNTL_PERSIST_WAL``, which needs
apsw), because a reader without write permission cannot create it; and no table is ever dropped.

One transaction writes one revision. So a reader, and an agent that was killed, find either the
previous revision or the new one.
"""

import ctypes
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from sendroute.delivery.lookup_tables import DomainRow, NexthopRows
from sendroute.model.provenance import Head
from sendroute.relay.log_index import hold_index, note_index

TABLES = ("access", "transport", "credentials", "tls_policy", "senders")
"""The tables that Postfix reads, each with the columns ``key`` and ``value``."""

_APPLICATION = 0x53526C79  # "SRly", in the file's header (file(1))
_VERSION = 1
_BUSY = 5_000
"""Milliseconds to wait for another process that has locked the file."""
_BATCH = 5_000

# `nexthop` is what the agent remembers of each alias; `retired` is the time at which it was
# replaced. `reload` is set while Postfix does not know of a new route.
_SCHEMA = (
    "".join(
        f"CREATE TABLE {name} (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
        for name in TABLES
    )
    + """
CREATE TABLE nexthop (
    alias TEXT PRIMARY KEY, owner TEXT NOT NULL, host TEXT, transport TEXT,
    policy_key TEXT NOT NULL, retired REAL
) WITHOUT ROWID;
CREATE TABLE served (
    id INTEGER PRIMARY KEY CHECK (id = 1), lineage TEXT NOT NULL, revision INTEGER NOT NULL,
    commit_id TEXT, reload INTEGER NOT NULL CHECK (reload IN (0, 1))
);
"""
    + f"PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {_VERSION};"
)

_STAGED = """
CREATE TEMP TABLE IF NOT EXISTS staged
    (key TEXT PRIMARY KEY, access TEXT, alias TEXT, logins TEXT) WITHOUT ROWID;
CREATE TEMP TABLE IF NOT EXISTS listed (alias TEXT PRIMARY KEY) WITHOUT ROWID;
DELETE FROM temp.staged; DELETE FROM temp.listed;
"""


class ServedRevision(NamedTuple):
    """The revision in the file. ``lineage`` is that of its store; ``reload`` is set while Postfix
    must be reloaded for it."""

    lineage: str
    head: Head
    reload: bool


class TablesUpdate(NamedTuple):
    """What a transaction writes. If it ``is_whole``, what is not listed is deleted."""

    lineage: str
    head: Head
    is_whole: bool
    nexthops: Iterable[NexthopRows]
    retired: Iterable[str]
    domains: Iterable[DomainRow]


WriteAliases = Callable[[Iterable[tuple[str, str]]], None]
"""Writes the alias file: each alias with its host."""


class DamagedTablesError(Exception):
    """The file is no database of this program, or its content is damaged."""


class ReassignedAliasError(Exception):
    """An alias belongs to another destination than before: the store was replaced by another."""


class Tables:
    """The open file. Not for several threads."""

    def __init__(
        self, path: Path, connection: apsw.Connection, held_index: int | None = None
    ) -> None:
        self.path = path
        self._connection = connection
        self._held_index = held_index
        self._identity = _identity(path)  # before its log exists

    @classmethod
    def open(cls, path: Path) -> "Tables":
        """Open an existing file.

        Raises:
            DamagedTablesError: the file is missing, damaged, or of another version.
            apsw.Error: it is locked, or cannot be read.
        """
        held_index = hold_index(path)
        try:
            connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        except apsw.CantOpenError as error:
            _close_index(held_index)
            raise DamagedTablesError from error
        tables = cls(path, connection, held_index)
        try:
            with _damage():
                tables._prepare()
                note_index(path)
                tables._check()
                tables._identity = _identity(path)
        except BaseException:  # also if interrupted: nothing else closes it
            tables.close()
            raise
        return tables

    @classmethod
    def create(cls, path: Path) -> "Tables":
        """Create the tables in an existing empty file. Its owner and mode are also those of its
        log.

        Raises:
            apsw.Error: it cannot be written.
        """
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        tables = cls(path, connection)
        try:
            tables._prepare()
            with connection:
                connection.execute(_SCHEMA)
            tables._identity = _identity(path)
        except BaseException:  # also if interrupted: nothing else closes it
            connection.close()
            raise
        return tables

    def _prepare(self) -> None:
        connection = self._connection
        connection.set_busy_timeout(_BUSY)
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "secure_delete = ON",  # no credential stays in a free page
            "temp_store = FILE",
            "cache_size = -16384",
            "journal_size_limit = 16777216",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        self._persist_log(1)
        # The last connection to close would lock the file.
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)

    def _persist_log(self, value: int) -> None:
        flag = ctypes.c_int(value)
        self._connection.file_control("main", apsw.SQLITE_FCNTL_PERSIST_WAL, ctypes.addressof(flag))

    def _check(self) -> None:
        numbers = [self._value(f"PRAGMA {name}") for name in ("application_id", "user_version")]
        if numbers != [_APPLICATION, _VERSION] or self._value("PRAGMA quick_check(1)") != "ok":
            raise DamagedTablesError
        names = {name for (name,) in self._connection.execute("SELECT name FROM sqlite_schema")}
        if not names.issuperset({*TABLES, "nexthop", "served"}):
            raise DamagedTablesError

    def check_file(self) -> None:
        """Check that Postfix can read the file. This agent keeps pages in memory, so damage on the
        disk would be seen by others first.

        Raises:
            DamagedTablesError: it cannot be read.
        """
        with _damage():
            other = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READONLY)
            try:
                for table in TABLES:
                    other.execute(f"SELECT key, value FROM {table} LIMIT 1").fetchall()  # noqa: S608
            finally:
                other.close()

    def _value(self, statement: str, *values: Any) -> Any:
        row = self._connection.execute(statement, values).fetchone()
        return None if row is None else row[0]

    def is_current(self) -> bool:
        """Whether the file at the path and its log are still those that are open. Without the log,
        a program that opens the file now finds an old revision, or cannot open it."""
        return self._identity == _identity(self.path)

    def close(self, *, keep_log: bool = True) -> None:
        """Close the file. Its log stays, emptied if no reader needs it, so that it holds no old
        credential. It is deleted if the file is to be moved."""
        with suppress(apsw.Error):
            if keep_log:
                self._connection.set_busy_timeout(0)
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            else:
                self._persist_log(0)
                self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
        self._connection.close()
        _close_index(self._held_index)
        self._held_index = None

    def served(self) -> ServedRevision | None:
        """The revision in the file; None before the first."""
        with _damage():
            row = self._connection.execute(
                "SELECT lineage, revision, commit_id, reload FROM served"
            ).fetchone()
        if row is None:
            return None
        lineage, revision, commit_id, due = row
        return ServedRevision(lineage, Head(revision, commit_id), bool(due))

    def counts(self) -> dict[str, int]:
        """The number of rows of each table that Postfix reads."""
        with _damage():
            return {name: self._value(f"SELECT count(*) FROM {name}") for name in TABLES}  # noqa: S608

    def aliases(self) -> Iterator[tuple[str, str]]:
        """Each alias with the host that it stands for, in order."""
        with _damage():
            yield from self._connection.execute(
                "SELECT alias, host FROM nexthop WHERE host IS NOT NULL ORDER BY alias"
            )

    def retired(self) -> dict[str, float]:
        """The retired aliases, with the time at which they were replaced."""
        with _damage():
            return dict(
                self._connection.execute(
                    "SELECT alias, retired FROM nexthop WHERE retired IS NOT NULL"
                )
            )

    def nexthop_counts(self) -> dict[str, int]:
        """The number of aliases in use, retired, and without their credential."""
        with _damage():
            row = self._connection.execute(
                "SELECT count(*) FILTER (WHERE retired IS NULL AND transport IS NOT NULL),"
                " count(*) FILTER (WHERE retired IS NOT NULL),"
                " count(*) FILTER (WHERE retired IS NULL AND transport IS NULL) FROM nexthop"
            ).fetchone()
        return dict(zip(("in-use", "retired", "without-credential"), row or (), strict=True))

    def forget(self, aliases: Iterable[str]) -> None:
        """Delete retired aliases with their credentials and TLS policies. The alias file must not
        have them any more."""
        with _damage(), self._transaction():
            for alias in aliases:
                row = self._connection.execute(
                    "DELETE FROM nexthop WHERE alias = ? AND retired IS NOT NULL"
                    " RETURNING policy_key",
                    (alias,),
                ).fetchone()
                if row is not None:
                    self._forget_secrets(alias, row[0])

    def _forget_secrets(self, alias: str, policy_key: str) -> None:
        run = self._connection.execute
        run("DELETE FROM credentials WHERE key = ?", (alias,))
        run(
            "DELETE FROM tls_policy WHERE key = ? AND key NOT IN (SELECT policy_key FROM nexthop)",
            (policy_key,),
        )

    def withdraw_routes(self) -> None:
        """Delete every route, and the revision, because the store was replaced by one in which an
        alias has another destination. Mail waits until that store was read."""
        with _damage(), self._transaction():
            self._connection.execute("DELETE FROM transport; DELETE FROM served")

    def withdraw_nexthops(self) -> None:
        """Delete every nexthop. Call it after :meth:`withdraw_routes`, and when no mail takes one
        any more."""
        with _damage(), self._transaction():
            self._connection.execute(
                "DELETE FROM nexthop; DELETE FROM credentials; DELETE FROM tls_policy"
            )

    def set_reload(self, *, due: bool) -> None:
        """Record whether Postfix must be reloaded for the revision in the file."""
        with _damage(), self._transaction():
            self._connection.execute("UPDATE served SET reload = ?", (int(due),))

    def unusable(self) -> list[str]:
        """The owners of nexthops in use whose credential is missing, in order."""
        with _damage():
            rows = self._connection.execute(
                "SELECT DISTINCT owner FROM nexthop WHERE transport IS NULL AND retired IS NULL"
                " ORDER BY owner"
            )
            return [owner for (owner,) in rows]

    def write(
        self,
        revision: TablesUpdate,
        now: float,
        write_aliases: WriteAliases,
    ) -> int:
        """Write a revision, completely or not at all.

        Args:
            revision: what changes.
            now: the time at which old nexthops are retired.
            write_aliases: writes the alias file, before the transaction is committed. It is called
                only if there is a new alias.

        Returns:
            The number of domains that were in the tables already, and have another route now.

        Raises:
            ReassignedAliasError: an alias has another destination than before.
            DamagedTablesError: the file is damaged.
            apsw.Error: the disk is full, or the file is locked. Nothing was written.
            OSError: from ``write_aliases``. Nothing was written.
        """
        with _damage(), self._transaction():
            self._connection.execute(_STAGED)
            if self._write_nexthops(revision, now):
                write_aliases(self.aliases())
            self._stage(revision.domains)
            rerouted = self._count_rerouted(whole=revision.is_whole)
            self._write_domains(whole=revision.is_whole)
            head = revision.head
            self._connection.execute(
                "INSERT INTO served (id, lineage, revision, commit_id, reload)"
                " VALUES (1, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET lineage = excluded.lineage,"
                " revision = excluded.revision, commit_id = excluded.commit_id,"
                " reload = max(reload, excluded.reload)",
                (revision.lineage, head.revision, head.commit_id, int(rerouted > 0)),
            )
        return rerouted

    def _write_nexthops(self, revision: TablesUpdate, now: float) -> bool:
        """Returns whether there is a new alias."""
        run = self._connection.execute
        before = self._value("SELECT count(*) FROM nexthop")
        for rows in revision.nexthops:
            known = run(
                "SELECT owner, host, policy_key FROM nexthop WHERE alias = ?", (rows.alias,)
            ).fetchone()
            if known is not None and known != (rows.owner, rows.host, rows.policy_key):
                raise ReassignedAliasError(rows.alias)
            run(
                "INSERT INTO nexthop VALUES (?, ?, ?, ?, ?, NULL) ON CONFLICT (alias)"
                " DO UPDATE SET transport = coalesce(excluded.transport, transport),"
                " retired = NULL",
                (rows.alias, rows.owner, rows.host, rows.transport, rows.policy_key),
            )
            self._put("credentials", rows.alias, rows.credential)
            self._put("tls_policy", rows.policy_key, rows.policy)
            if revision.is_whole:
                run("INSERT OR IGNORE INTO listed VALUES (?)", (rows.alias,))
        if revision.is_whole:
            run(
                "UPDATE nexthop SET retired = ? WHERE retired IS NULL"
                " AND alias NOT IN (SELECT alias FROM listed)",
                (now,),
            )
        for alias in revision.retired:
            run("UPDATE nexthop SET retired = ? WHERE retired IS NULL AND alias = ?", (now, alias))
        return bool(self._value("SELECT count(*) FROM nexthop") != before)

    def _put(self, table: str, key: str, value: str | None) -> None:
        if value is not None:
            self._connection.execute(
                f"INSERT INTO {table} VALUES (?, ?) ON CONFLICT (key)"  # noqa: S608 - a table of ours
                " DO UPDATE SET value = excluded.value WHERE value <> excluded.value",
                (key, value),
            )

    def _stage(self, rows: Iterable[DomainRow]) -> None:
        remaining = iter(rows)
        while batch := list(islice(remaining, _BATCH)):
            self._connection.executemany("INSERT OR REPLACE INTO staged VALUES (?, ?, ?, ?)", batch)

    def _count_rerouted(self, *, whole: bool) -> int:
        count: int = self._value(
            "SELECT count(*) FROM staged JOIN access USING (key) LEFT JOIN transport USING (key)"
            " LEFT JOIN nexthop USING (alias)"
            " WHERE transport.value IS NOT nexthop.transport"
        )
        if whole:
            count += self._value(
                "SELECT count(*) FROM access WHERE key NOT IN (SELECT key FROM staged)"
            )
        return count

    def _write_domains(self, *, whole: bool) -> None:
        run = self._connection.execute
        if whole:
            for table in ("access", "transport", "senders"):
                run(f"DELETE FROM {table} WHERE key NOT IN (SELECT key FROM staged)")  # noqa: S608
        run(
            "DELETE FROM transport WHERE key IN (SELECT key FROM staged LEFT JOIN nexthop"
            " USING (alias) WHERE transport IS NULL)"
        )
        run(
            "INSERT INTO transport SELECT key, transport FROM staged JOIN nexthop USING (alias)"
            " WHERE transport IS NOT NULL ON CONFLICT (key)"
            " DO UPDATE SET value = excluded.value WHERE value <> excluded.value"
        )
        for table, column in (("access", "access"), ("senders", "logins")):
            run(
                f"DELETE FROM {table} WHERE key IN"  # noqa: S608 - a table of ours
                f" (SELECT key FROM staged WHERE staged.{column} IS NULL)"
            )
            run(
                f"INSERT INTO {table} SELECT key, {column} FROM staged"  # noqa: S608
                f" WHERE {column} IS NOT NULL ON CONFLICT (key)"
                " DO UPDATE SET value = excluded.value WHERE value <> excluded.value"
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:  # also if interrupted: all of the revision or nothing
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


@contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise DamagedTablesError from error
    except apsw.SQLError as error:  # a table or a column is missing
        raise DamagedTablesError from error


def _close_index(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)


def _identity(path: Path) -> tuple[tuple[int, int] | None, ...]:
    """Which files these are: the database, its log and the index of the log."""
    return tuple(_inode(path.with_name(path.name + suffix)) for suffix in ("", "-wal", "-shm"))


def _inode(path: Path) -> tuple[int, int] | None:
    """A link is not the file that it leads to: the log has the name of that."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
