"""Ctrl-C and termination while a store is being changed: stop after the account at hand."""

import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Thread
from types import FrameType

from sendroute.cli.command_line import stderr_line

_AGAIN = 1.0
"""Seconds after which what was asked is asked again, of a library that waits on in spite of it."""


class Stop:
    """``signal`` is the signal that asked to stop, 0 while none did."""

    def __init__(self) -> None:
        self.signal = 0

    @property
    def status(self) -> int:
        """The exit status as a shell tells it: 130 for Ctrl-C."""
        return 128 + self.signal


@contextmanager
def asking(ask: Callable[[int], None], at_once: Callable[[], None]) -> Iterator[None]:
    """Within, the first SIGINT or SIGTERM calls ``ask`` with its number in the main thread, and
    then every second: psycopg takes the first interrupt as a reason to ask the server to cancel,
    and waits for a server that hangs. A second one ends the process at once, also while a library
    keeps the main thread: the system rolls back what was not committed, and ``at_once``, called
    from another thread, takes leave of what the system would let go on. SIGHUP, of a terminal that
    was closed, does the same, but for who is to outlast that (nohup(1))."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    asked = 0

    def once(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if not asked:
            asked = number
            signal.setitimer(signal.ITIMER_REAL, _AGAIN, _AGAIN)
            ask(asked)

    def again(_number: int, _frame: FrameType | None) -> None:
        ask(asked)

    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)
        watcher = Thread(target=_end_at_the_second, args=(ours, numbers, at_once), daemon=True)
        watcher.start()
        before = {number: signal.signal(number, once) for number in numbers}
        before[signal.SIGALRM] = signal.signal(signal.SIGALRM, again)
        # Signals arrive there even while Python's own handlers have to wait for a library.
        woken = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.set_wakeup_fd(woken)
            theirs.close()
            watcher.join()
            for number, handler in before.items():
                signal.signal(number, handler)


def _end_at_the_second(
    signals: socket.socket, numbers: Sequence[int], at_once: Callable[[], None]
) -> None:
    came = 0
    while number := signals.recv(1):
        came += number[0] in numbers
        if came > 1:
            at_once()
            os._exit(128 + number[0])


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
