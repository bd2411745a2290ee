"""Waits until another connection commits to a SQLite file."""

import sqlite3
from threading import Event
from time import monotonic
from typing import Self

from sendroute.store.translation import translated_errors

# Seconds. A poll takes a few microseconds: SQLite reads one number in shared memory.
_POLL = 0.2


class FileWatch:
    """Polls SQLite's counter of commits by other connections
    (https://www.sqlite.org/pragma.html#pragma_data_version). Its connection never commits."""

    def __init__(self, connection: sqlite3.Connection, location: str) -> None:
        self._connection = connection
        self._location = location
        self._closed = Event()
        self._seen = self._version()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._connection.close()

    def close(self) -> None:
        self._closed.set()

    def wait(self, timeout: float) -> bool:
        deadline = monotonic() + timeout
        while not self._closed.is_set():
            version = self._version()
            if version != self._seen:
                self._seen = version
                return True
            left = deadline - monotonic()
            if left <= 0:
                return False
            self._closed.wait(min(_POLL, left))
        return False

    def _version(self) -> int:
        with translated_errors(self._location):
            version: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
            return version
