"""What ends the wait between two rounds, and the thread that waits for the store."""

from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event, Thread

from sendroute.loop.protocols import Open, Store
from sendroute.model.problem import ProblemError

_LONG = 60.0
_GRACE = 1.0  # a server that hangs is not waited for; its answer ends the thread


class WakeupQueue:
    """A queue whose ``put`` takes no lock that a signal's handler could find taken
    (https://docs.python.org/3/library/queue.html#queue.SimpleQueue.put)."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[None] = SimpleQueue()

    def put(self) -> None:
        self._queue.put(None)

    def wait(self, seconds: float) -> None:
        """Until the first came, at the latest for so many seconds; of all that came nothing is
        left, for who wakes looks at everything."""
        with suppress(Empty):
            self._queue.get(timeout=max(0.0, seconds))
            while True:
                self._queue.get_nowait()


class StoreHandle:
    """The store, open for as long as it is the one at its place, and a thread that tells of
    commits to it. To be used by one thread.

    It is never opened twice at once: to look at a SQLite file by other means than its connections
    gives up their locks (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """

    def __init__(self, opens: Open, woken: Callable[[], None]) -> None:
        self._opens = opens
        self._woken = woken
        self._store: Store | None = None
        self._watcher: Watcher | None = None

    def __enter__(self) -> "StoreHandle":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def store(self) -> Store:
        """Raises :class:`~sendroute.model.problem.ProblemError` where it cannot be opened. A file
        that was moved away or replaced is left: nobody would read what is written there."""
        if self._store is not None and not self._store.is_current():
            self.close()
        if self._store is None:
            self._store = self._opens()
        if self._watcher is None or not self._watcher.is_alive():
            self._watcher = Watcher(self._store, self._woken)
            self._watcher.start()
        return self._store

    def close(self) -> None:
        if self._watcher is not None:
            self._watcher.end()
            self._watcher = None
        if self._store is not None:
            self._store.close()
            self._store = None


class Watcher(Thread):
    """Tells that anybody may have committed, until the store does not answer or it is ended."""

    def __init__(self, store: Store, woken: Callable[[], None]) -> None:
        super().__init__(name="store watcher", daemon=True)
        self._woken = woken
        self._ended = Event()
        self._watch = store.watch()

    def run(self) -> None:
        try:
            with self._watch as watch:
                while not self._ended.is_set():
                    if watch.wait(_LONG):
                        self._woken()
        except ProblemError:
            self._woken()  # the loop finds out what it is

    def end(self) -> None:
        self._ended.set()
        self._watch.close()
        with suppress(RuntimeError):  # a signal broke off its start: there is nobody to wait for
            self.join(_GRACE)
