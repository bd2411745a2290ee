"""A PostgreSQL server for the tests: a cluster in a temporary directory.

The server stops when the process that started it ends, also if that process is killed.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Self

import psycopg
from psycopg import sql
from tests.private_server import PrivateServer, free_port

# The data is not needed after the tests, so the server does not wait for the disk.
_NO_SYNC = ("fsync=off", "full_page_writes=off")
_SMALL = (
    "shared_buffers=32MB",
    "max_connections=60",
    "max_wal_senders=2",
    "autovacuum=off",
    "log_min_messages=fatal",
    "log_min_error_statement=panic",
)
_TIMEOUT = 60.0


def binaries() -> Path:
    """The directory of the newest initdb and postgres. On Debian they are not on the PATH."""
    directories = [
        path.parent
        for path in sorted(
            Path("/usr/lib/postgresql").glob("*/bin/initdb"),
            key=lambda path: int(path.parts[-3]) if path.parts[-3].isdecimal() else 0,
        )
    ]
    with suppress(OSError, subprocess.CalledProcessError):
        bindir = subprocess.run(
            ["pg_config", "--bindir"], check=True, capture_output=True, text=True
        ).stdout.strip()
        directories.insert(0, Path(bindir))
    if (on_path := shutil.which("initdb")) is not None:
        directories.insert(0, Path(on_path).resolve().parent)
    for directory in reversed(directories):
        if (directory / "initdb").exists() and (directory / "postgres").exists():
            return directory
    raise RuntimeError(
        "The tests need PostgreSQL's server programs, and found none. `make test` installs them on"
        " Debian as root; elsewhere install PostgreSQL 13 or newer and put its initdb on the PATH."
    )


def unprivileged() -> tuple[int, int] | None:
    """The user and group of the server if the tests run as root, which initdb refuses."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            user = pwd.getpwnam(name)
            return user.pw_uid, user.pw_gid
    raise RuntimeError("There is no user to run PostgreSQL as: neither postgres nor nobody.")


class Cluster:
    """A server with an empty cluster. A context manager.

    ``no_sync``: do not write through to the disk, so a crash of the machine may lose data; a crash
    of the server alone loses nothing. ``settings``: replace those that keep the server small.
    """

    def __init__(self, *, no_sync: bool = True, settings: tuple[str, ...] = _SMALL) -> None:
        self._programs = binaries()
        self._user = unprivileged()
        self._settings = (*settings, *(_NO_SYNC if no_sync else ()))
        self.directory = Path(tempfile.mkdtemp(prefix="sendroute-pg-"))
        self.socket = self.directory
        self.port = free_port()
        self._server: PrivateServer | None = None
        self._numbers = count(1)
        if self._user is not None:
            os.chown(self.directory, *self._user)

    def __enter__(self) -> Self:
        try:
            self._run(
                "initdb",
                *("-D", str(self.data), "--no-sync", "--no-instructions", "-E", "UTF8"),
                *("--locale=C", "-U", "tests", "-A", "trust"),
            )
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def pid(self) -> int:
        assert self._server is not None
        return self._server.pid

    def start(self) -> None:
        """Start the server and return when it accepts connections."""
        settings = [
            *self._settings,
            "listen_addresses=127.0.0.1",
            f"port={self.port}",
            f"unix_socket_directories={self.socket}",
        ]
        self._server = PrivateServer(
            (
                *(self._programs / "postgres", "-D", self.data),
                *(word for setting in settings for word in ("-c", setting)),
            ),
            self.directory / "log",
            orphaned=signal.SIGQUIT,
            **self._as_user(),
        )
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + _TIMEOUT
        while True:
            try:
                self.connect().close()
                return
            except psycopg.OperationalError:
                ended = self._server is None or self._server.has_ended
                if ended or time.monotonic() > deadline:
                    log = (self.directory / "log").read_text(errors="replace")
                    raise RuntimeError(f"PostgreSQL did not start:\n{log}") from None
            time.sleep(0.02)

    def stop(self, signal_number: signal.Signals = signal.SIGQUIT) -> None:
        """Stop the server and return when it has ended.

        SIGQUIT is PostgreSQL's immediate shutdown, which is like a crash; SIGINT is the fast
        shutdown, which ends sessions and writes all data.
        """
        if self._server is not None:
            self._server.stop(signal_number)
            self._server = None

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """The server accepts connections and does not answer, as with a failed disk."""
        pids = [self.pid]
        try:
            os.kill(self.pid, signal.SIGSTOP)  # first, so that it starts no more children
            for child in map(int, _children(self.pid)):
                with suppress(ProcessLookupError):  # this child has ended already
                    os.kill(child, signal.SIGSTOP)
                    pids.append(child)
            yield
        finally:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def connect(self, database: str = "postgres", user: str = "tests") -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.socket), port=self.port, dbname=database, user=user, autocommit=True
        )

    def url(self, database: str, user: str = "tests") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def create_database(self, more: str = "") -> str:
        """Create an empty database and return its name."""
        name = f"t{next(self._numbers)}"
        self._execute("CREATE DATABASE {} TEMPLATE template0 " + more, name)
        return name

    def drop_database(self, name: str) -> None:
        self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def _execute(self, statement: str, name: str) -> None:
        with self.connect() as connection:
            connection.execute(sql.SQL(statement).format(sql.Identifier(name)))

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [self._programs / program, *words],
            capture_output=True,
            text=True,
            cwd=self.directory,
            **self._as_user(),
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stdout}{done.stderr}")

    def _as_user(self) -> dict[str, object]:
        if self._user is None:
            return {}
        uid, gid = self._user
        return {"user": uid, "group": gid, "extra_groups": []}


def _children(pid: int) -> list[str]:
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True
    )
    return children.stdout.split()
