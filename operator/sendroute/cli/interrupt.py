"""Ctrl-C and termination while a store is being changed: stop after the account at hand."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from sendroute.cli.command_line import stderr_line


class Stop:
    """``signal`` is the signal that asked to stop, 0 while none did."""

    def __init__(self) -> None:
        self.signal = 0

    @property
    def status(self) -> int:
        """The exit status as a shell tells it: 130 for Ctrl-C."""
        return 128 + self.signal


@contextmanager
def asking(ask: Callable[[int], None]) -> Iterator[None]:
    """Within, the first SIGINT or SIGTERM calls ``ask`` with its number, wherever the main thread
    is; a second one ends the process at once, also while a library does not return."""
    numbers = (signal.SIGINT, signal.SIGTERM)

    def once(number: int, _frame: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_DFL)
        ask(number)

    before = {number: signal.signal(number, once) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def stopping() -> Iterator[Stop]:
    """Within, the first SIGINT or SIGTERM only asks to stop; a second one interrupts at once, and
    the transaction at hand is rolled back."""
    stop = Stop()

    def ask(number: int, _frame: FrameType | None) -> None:
        if stop.signal:
            raise KeyboardInterrupt
        stop.signal = number
        stderr_line("Stopping after the account at hand; once more stops at once.")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
