"""A clean stop at any moment: what may be broken off is broken off, what is being written is
finished."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stop:
    """Asked by a signal's handler, in the thread that does the work."""

    def __init__(self) -> None:
        self.signal = 0
        self._breaks_off = False
        self._wake: Callable[[], None] = lambda: None

    def wakes(self, wake: Callable[[], None]) -> None:
        """``wake`` is called from the handler, wherever the thread is: it must take no lock."""
        self._wake = wake

    def ask(self, number: int) -> None:
        """``number`` is the signal's. Raises KeyboardInterrupt, the one exception that every
        library passes on, where the work at hand may be broken off."""
        self.signal = number
        self._wake()
        if self._breaks_off:
            raise KeyboardInterrupt

    def asked(self) -> bool:
        return bool(self.signal)

    @contextmanager
    def breaking_off(self) -> Iterator[None]:
        """Within, nothing is written that would be left half done: reading, deciding, connection
        tests."""
        before = self._breaks_off
        self._breaks_off = True
        try:
            if self.signal:
                raise KeyboardInterrupt
            yield
        finally:
            self._breaks_off = before
        if self.signal:  # a callback that no exception leaves had swallowed it
            raise KeyboardInterrupt
