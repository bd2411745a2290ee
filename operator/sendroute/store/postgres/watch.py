"""PostgreSQL tells each new revision to who listens; a question now and then is behind it."""

import os
import select
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from time import monotonic
from typing import Self

import psycopg

from sendroute.store.translation import translated_errors

# Seconds between two questions, for a word that was lost, or a server that cannot tell.
_POLL = 5.0
_POLL_STANDBY = 1.0
# Seconds between two tries to reach a server that is away, at most.
_RETRY = 5.0


class ServerWatch:
    """A connection of its own. While the server is away it waits, and says True once when the
    server is back."""

    def __init__(self, connect: Callable[[], psycopg.Connection], location: str) -> None:
        self._connect = connect
        self._location = location
        self._ears, self._mouth = os.pipe()
        self._closed = False
        self._closing = Lock()
        self._seen = -1
        self._poll = _POLL
        self._own: psycopg.Connection | None = None
        self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._drop()
        with self._closing:
            os.close(self._ears)
            os.close(self._mouth)

    def close(self) -> None:
        """End a wait. Another thread may close it at the same time, and then close the pipe."""
        with self._closing:
            if not self._closed:
                self._closed = True
                os.write(self._mouth, b"x")

    def wait(self, timeout: float) -> bool:
        with translated_errors(self._location):
            return self._wait(timeout)

    def _wait(self, timeout: float) -> bool:
        deadline = monotonic() + timeout
        retry = 0.1
        while not self._closed:
            left = deadline - monotonic()
            if self._own is None:
                try:
                    self._open()
                except psycopg.OperationalError:
                    if left <= 0:
                        return False
                    self._sleep(min(retry, left))
                    retry = min(2 * retry, _RETRY)
                    continue
                return True
            try:
                if self._is_new():
                    return True
                if left <= 0:
                    return False
                self._sleep(min(self._poll, left))
            except psycopg.OperationalError:
                self._drop()
        return False

    def _open(self) -> None:
        own = self._connect()
        try:
            self._poll = _POLL
            try:
                own.execute("LISTEN sendroute")
            except psycopg.errors.ReadOnlySqlTransaction:  # a standby hears nothing
                self._poll = _POLL_STANDBY
            self._seen = _revision(own)
        except BaseException:
            own.close()
            raise
        self._own = own

    def _drop(self) -> None:
        if self._own is not None:
            with suppress(psycopg.Error):
                self._own.close()
            self._own = None

    def _is_new(self) -> bool:
        """What is told is only that it is worth asking; a word that came with the answer may be
        of a later revision."""
        assert self._own is not None  # noqa: S101
        while True:
            now = _revision(self._own)
            heard = [*self._own.notifies(timeout=0)]
            if now != self._seen:
                self._seen = now
                return True
            if not heard:
                return False

    def _sleep(self, seconds: float) -> None:
        """Until somebody tells something, or we are closed."""
        heard = [self._ears] if self._own is None else [self._ears, self._own.fileno()]
        select.select(heard, (), (), seconds)


def _revision(own: psycopg.Connection) -> int:
    found = own.execute("SELECT revision FROM sendroute.store").fetchone()
    return -1 if found is None else int(found[0])
