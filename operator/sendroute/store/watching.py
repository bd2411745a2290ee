"""Waiting until somebody has committed something."""

import sqlite3
from threading import Event
from time import monotonic
from typing import Protocol, Self

from sendroute.store.problems import told_plainly

# Seconds. The question costs a few microseconds: SQLite looks at one number in shared memory.
_POLL = 0.2


class Watch(Protocol):
    """A context manager, for one thread. Closed from another thread, or by a signal's handler, it
    ends a wait at once."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def wait(self, timeout: float) -> bool:
        """True as soon as anything may have been committed by anybody since the last wait
        returned, or since the watch began; False after ``timeout`` seconds, or once closed."""
        ...

    def close(self) -> None: ...


class FileWatch:
    """SQLite's count of commits by other connections, this one being none that commits
    (https://www.sqlite.org/pragma.html#pragma_data_version)."""

    def __init__(self, own: sqlite3.Connection, place: str) -> None:
        self._own = own
        self._place = place
        self._closed = Event()
        self._seen = self._version()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._own.close()

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
        with told_plainly(self._place):
            version: int = self._own.execute("PRAGMA data_version").fetchone()[0]
            return version
