"""Waits for commits with LISTEN, and polls the revision from time to time."""

import os
import select
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from time import monotonic
from typing import Self

import psycopg

from sendroute.store.translation import translated_errors

# Seconds between two polls, in case a notification was lost, or on a standby, which sends none.
_POLL = 5.0
_POLL_STANDBY = 1.0
# Maximum seconds between two attempts to reconnect.
_RETRY = 5.0


class ServerWatch:
    """Watches with a separate connection. While the server is unavailable it waits, and after a
    reconnect returns True once."""

    def __init__(self, connect: Callable[[], psycopg.Connection], location: str) -> None:
        self._connect = connect
        self._location = location
        self._wakeup_read, self._wakeup_write = os.pipe()
        self._closed = False
        self._closing = Lock()
        self._seen = -1
        self._poll = _POLL
        self._connection: psycopg.Connection | None = None
        self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._drop()
        with self._closing:
            os.close(self._wakeup_read)
            os.close(self._wakeup_write)

    def close(self) -> None:
        """End a wait. Another thread may close the watch at the same time, and then the pipe."""
        with self._closing:
            if not self._closed:
                self._closed = True
                os.write(self._wakeup_write, b"x")

    def wait(self, timeout: float) -> bool:
        with translated_errors(self._location):
            return self._wait(timeout)

    def _wait(self, timeout: float) -> bool:
        deadline = monotonic() + timeout
        retry = 0.1
        while not self._closed:
            left = deadline - monotonic()
            connection = self._connection
            if connection is None:
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
                if self._is_new(connection):
                    return True
                if left <= 0:
                    return False
                self._sleep(min(self._poll, left))
            except psycopg.OperationalError:
                self._drop()
        return False

    def _open(self) -> None:
        connection = self._connect()
        try:
            self._poll = _POLL
            try:
                connection.execute("LISTEN sendroute")
            except psycopg.errors.ReadOnlySqlTransaction:  # a standby sends no notifications
                self._poll = _POLL_STANDBY
            self._seen = _revision(connection)
        except BaseException:  # also if interrupted: nothing else closes it
            connection.close()
            raise
        self._connection = connection

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def _is_new(self, connection: psycopg.Connection) -> bool:
        """Whether there is a new revision. A notification only means that the revision should be
        read; one that arrived with the answer may be of a later revision."""
        while True:
            now = _revision(connection)
            notifications = [*connection.notifies(timeout=0)]
            if now != self._seen:
                self._seen = now
                return True
            if not notifications:
                return False

    def _sleep(self, seconds: float) -> None:
        """Until a notification arrives, or the watch is closed."""
        sources = (
            [self._wakeup_read]
            if self._connection is None
            else [self._wakeup_read, self._connection.fileno()]
        )
        select.select(sources, (), (), seconds)


def _revision(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT revision FROM sendroute.store").fetchone()
    return -1 if row is None else int(row[0])
