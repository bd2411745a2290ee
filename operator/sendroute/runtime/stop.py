"""A clean stop at any time: interruptible work is interrupted, and a transaction that is being
written is finished.

The first signal sets a :class:`Stop`; a second one ends the process at once.
"""

import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Thread
from types import FrameType

_REPEAT = 1.0
"""Seconds after which the stop is set again, because a library may swallow the first interrupt."""


class Stop:
    """An event that ends work. A signal's handler, which runs in the main thread, also interrupts
    the work of that thread; the work of another thread is not interrupted, and none is begun.

    It is no :class:`threading.Event`: a handler may interrupt the thread anywhere, also in a lock.
    ``signal`` is the number of the signal that set it, 0 without one.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._is_set = False
        self._interruptible = False
        self._wake: Callable[[], None] = lambda: None

    @property
    def status(self) -> int:
        """The exit status that a shell expects: 130 for Ctrl-C, 0 while it is not set."""
        return 128 + self.signal if self.signal else 0

    def on_set(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` whenever the stop is set, also from a signal handler. It must not take a
        lock."""
        self._wake = wake

    def set(self) -> None:
        """Set the stop, from any thread."""
        self._is_set = True
        self._wake()

    def interrupt(self, number: int) -> None:
        """Set the stop, from a signal handler.

        Args:
            number: the number of the signal.

        Raises:
            KeyboardInterrupt: the current work may be interrupted. It is the one exception that
                every library passes on.
        """
        self.signal = number
        self.set()
        if self._interruptible:
            raise KeyboardInterrupt

    def is_set(self) -> bool:
        """Whether the work must end."""
        return self._is_set

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """A context for work that writes nothing: reading, planning, connection tests.

        Raises:
            KeyboardInterrupt: the stop is set, before or during the work; raised at once.
        """
        with self._interrupted(Exception):
            if self._is_set:
                raise KeyboardInterrupt
            yield
        if self._is_set:  # a callback that no exception leaves had swallowed it
            raise KeyboardInterrupt

    @contextmanager
    def last_work(self, seconds: float) -> Iterator[None]:
        """A context for what is done after the stop, within :func:`stop_on_signals`: its timer,
        which sets the stop again, gives up whatever the work waits for.

        Args:
            seconds: how long it may take.

        Raises:
            KeyboardInterrupt: the time is over, or a library fails because it was interrupted.
        """
        signal.setitimer(signal.ITIMER_REAL, seconds, _REPEAT)
        with self._interrupted(AssertionError):
            yield

    @contextmanager
    def _interrupted(self, failure: type[Exception]) -> Iterator[None]:
        """A context that the stop interrupts. After it, ``failure`` is an interrupt too: a library
        that was interrupted between two steps may fail its own checks."""
        before = self._interruptible
        self._interruptible = True
        try:
            yield
        except failure as error:
            if not self._is_set:
                raise
            raise KeyboardInterrupt from error
        finally:
            self._interruptible = before


@contextmanager
def stop_on_signals(stop: Stop, at_once: Callable[[], None]) -> Iterator[None]:
    """A context in which signals stop a process that runs until it is stopped.

    The first SIGINT or SIGTERM sets ``stop`` in the main thread, and sets it again every second,
    because psycopg handles the first interrupt by asking the server to cancel, and would wait for
    a server that hangs.

    A second signal ends the process immediately, also while a library blocks the main thread. The
    database rolls back uncommitted changes. SIGHUP, from a closed terminal, does the same, unless
    it is ignored (nohup(1)).

    Args:
        stop: the stop to set.
        at_once: called from another thread before the process ends, to kill child processes.
    """
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    first = 0

    def once(number: int, _frame: FrameType | None) -> None:
        nonlocal first
        if not first:
            first = number
            signal.setitimer(signal.ITIMER_REAL, _REPEAT, _REPEAT)
            stop.interrupt(first)

    def repeat(_number: int, _frame: FrameType | None) -> None:
        stop.interrupt(first)

    read_socket, write_socket = socket.socketpair()
    with read_socket, write_socket:
        write_socket.setblocking(False)
        watcher = Thread(
            target=_end_at_the_second, args=(read_socket, numbers, at_once), daemon=True
        )
        watcher.start()
        before = {number: signal.signal(number, once) for number in numbers}
        before[signal.SIGALRM] = signal.signal(signal.SIGALRM, repeat)
        # Signals arrive there even while a library delays Python's own handlers.
        woken = signal.set_wakeup_fd(write_socket.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.set_wakeup_fd(woken)
            write_socket.close()
            watcher.join()
            for number, handler in before.items():
                signal.signal(number, handler)


def _end_at_the_second(
    signals: socket.socket, numbers: Sequence[int], at_once: Callable[[], None]
) -> None:
    received = 0
    while number := signals.recv(1):
        received += number[0] in numbers
        if received > 1:
            at_once()
            os._exit(128 + number[0])


@contextmanager
def stop_between_accounts(announce: Callable[[], None]) -> Iterator[Stop]:
    """A context in which signals stop a command that a person runs.

    The first SIGINT or SIGTERM sets the stop, so that the command ends after the account that is
    being written. A second one rolls back the running transaction.

    Args:
        announce: called at the first signal, to inform the user.

    Yields:
        The stop.

    Raises:
        KeyboardInterrupt: at the second signal; at the first one in work that may be interrupted.
    """
    stop = Stop()

    def handle(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.interrupt(number)
        announce()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
