"""Ends a wait, and the thread that waits for commits to the store."""

import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Generic, Protocol, Self, TypeVar

from sendroute.model.problem import ProblemError
from sendroute.runtime.backoff import Random, backoff

_WATCH_TIMEOUT = 60.0
_JOIN_TIMEOUT = 1.0  # a server that hangs ends the thread with its answer
_LONGEST_RETRY = 15.0
"""Seconds between two attempts to open a store that is unavailable, at most."""


class StoreWatch(Protocol):
    """A context manager for one thread. ``close`` may be called by another thread, and ends a wait
    at once."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def wait(self, timeout: float) -> bool:
        """Wait until a process, this one included, may have committed.

        Returns:
            False if there was no commit within ``timeout`` seconds, or the watch was closed.

        Raises:
            ProblemError: the store is unavailable.
        """
        ...

    def close(self) -> None:
        """Close the watch, which ends a wait at once."""
        ...


class WatchedStore(Protocol):
    """An open store."""

    def watch(self) -> StoreWatch:
        """Return a watch for commits by any process after this call."""
        ...

    def is_current(self) -> bool:
        """Whether the file at the store's path is still this store. Opens nothing."""
        ...

    def close(self) -> None:
        """Close the store; closing it twice is no error."""
        ...


S = TypeVar("S", bound=WatchedStore)


class WakeupQueue:
    """A queue whose ``put`` is reentrant, so a signal handler may call it
    (https://docs.python.org/3/library/queue.html#queue.SimpleQueue.put)."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[None] = SimpleQueue()

    def put(self) -> None:
        """Wake up the loop, from any thread or from a signal handler."""
        self._queue.put(None)

    def wait(self, seconds: float) -> None:
        """Wait for a wakeup, at most ``seconds``. Removes all of them, because a loop that wakes
        up checks everything."""
        with suppress(Empty):
            self._queue.get(timeout=max(0.0, seconds))
            while True:
                self._queue.get_nowait()


class StoreHandle(Generic[S]):
    """The open store, whether it is available, and a thread that reports commits to it. For one
    thread.

    ``retry_at`` is when to open a store again that is not up, on the clock of ``time.monotonic``.

    The store is never opened twice at once: closing a second descriptor of a SQLite file drops the
    locks of its connections (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """

    def __init__(
        self, open_store: Callable[[], S], wake: Callable[[], None], random: Random
    ) -> None:
        self._open_store = open_store
        self._wake = wake
        self._random = random
        self._failures = 0
        self.is_up = False
        self.retry_at = time.monotonic()
        self._store: S | None = None
        self._watcher: Watcher | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self) -> S:
        """Return the store, opened if it is not open. A file that was moved or replaced is closed,
        because it is no longer the store.

        Raises:
            ProblemError: the store cannot be opened.
        """
        if self._store is not None and not self._store.is_current():
            self.close()
        if self._store is None:
            self._store = self._open_store()
        if self._watcher is None or not self._watcher.is_alive():
            self._watcher = Watcher(self._store, self._wake)
            self._watcher.start()
        return self._store

    def mark_up(self) -> None:
        """The store answered."""
        self.is_up = True
        self._failures = 0

    def mark_down(self) -> None:
        """The store is unavailable: close it, and open it again with exponential backoff."""
        self.is_up = False
        self._failures += 1
        wait = backoff(self._failures, _LONGEST_RETRY, self._random())
        self.retry_at = time.monotonic() + wait
        self.close()

    def close(self) -> None:
        """Stop the watch and close the store, if it is open."""
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher = None
        if self._store is not None:
            self._store.close()
            self._store = None


class Watcher(Thread):
    """Calls ``wake`` after each commit, until the store does not answer or the watcher is
    stopped."""

    def __init__(self, store: WatchedStore, wake: Callable[[], None]) -> None:
        super().__init__(name="store watcher", daemon=True)
        self._wake = wake
        self._stopped = Event()
        self._watch = store.watch()

    def run(self) -> None:
        try:
            with self._watch as watch:
                while not self._stopped.is_set():
                    if watch.wait(_WATCH_TIMEOUT):
                        self._wake()
        except ProblemError:
            self._wake()  # the loop then detects why

    def stop(self) -> None:
        self._stopped.set()
        self._watch.close()
        with suppress(RuntimeError):  # a signal interrupted its start
            self.join(_JOIN_TIMEOUT)
