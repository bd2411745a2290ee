"""What ends the wait between two rounds, and the thread that waits for the store."""

import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from queue import Empty, SimpleQueue
from threading import Event, Thread

from sendroute.loop.protocols import Open
from sendroute.loop.schedule import backoff
from sendroute.model.problem import ProblemError


class Wake(Enum):
    STOP = auto()
    STORE = auto()


class Wakes:
    """A queue whose ``put`` takes no lock that a signal's handler could find taken
    (https://docs.python.org/3/library/queue.html#queue.SimpleQueue.put)."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Wake] = SimpleQueue()

    def put(self, wake: Wake) -> None:
        self._queue.put(wake)

    def wait(self, seconds: float) -> frozenset[Wake]:
        """All that came, at the latest after so many seconds."""
        came: set[Wake] = set()
        with suppress(Empty):
            came.add(self._queue.get(timeout=max(0.0, seconds)))
            while True:
                came.add(self._queue.get_nowait())
        return frozenset(came)


class StoreWatcher:
    """Tells of every commit, and of a store that goes away or comes back. It says what may be so:
    the loop looks."""

    _AT_ONCE = 1.0
    _LASTS = 60.0
    _LONGEST_PAUSE = 15.0

    def __init__(self, opens: Open, woken: Callable[[], None], random: Callable[[], float]) -> None:
        self._opens = opens
        self._woken = woken
        self._random = random
        self._ended = Event()
        self._thread = Thread(target=self._run, name="store watcher", daemon=True)

    def __enter__(self) -> "StoreWatcher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(2 * self._AT_ONCE)

    def _run(self) -> None:
        failures = 0
        while not self._ended.is_set():
            try:
                self._watch()
                failures = 0
            except ProblemError:
                failures += 1
                self._woken()
                self._ended.wait(backoff(failures, self._LONGEST_PAUSE, self._random()))

    def _watch(self) -> None:
        """For a minute; then the store is opened anew, for a file may have been replaced."""
        until = time.monotonic() + self._LASTS
        with self._opens() as store, store.watch() as watch:
            self._woken()
            while not self._ended.is_set() and time.monotonic() < until:
                if watch.wait(self._AT_ONCE):
                    self._woken()
