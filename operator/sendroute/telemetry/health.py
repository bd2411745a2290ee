"""Whether a process makes progress and is ready: set by the process, read over HTTP."""

import time
from collections.abc import Callable
from typing import NamedTuple


class HealthAnswer(NamedTuple):
    """``text`` is one plain sentence."""

    ok: bool
    text: str


class Health:
    """Written by the working thread, read by the HTTP threads.

    The process is alive while its last :meth:`beat` is at most ``limit`` seconds old; it beats also
    while it waits for the next round. It is not ready until :meth:`ready` is called.
    """

    def __init__(self, limit: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._beat = clock()
        self._readiness = HealthAnswer(False, "The process is starting.")

    def beat(self) -> None:
        """Report that the process makes progress."""
        self._beat = self._clock()

    def ready(self, reason: str) -> None:
        """Report readiness.

        Args:
            reason: a sentence that is visible to everyone who can connect.
        """
        self._readiness = HealthAnswer(True, reason)

    def not_ready(self, reason: str) -> None:
        """Report that the process is not ready.

        Args:
            reason: a sentence as for :meth:`ready`.
        """
        self._readiness = HealthAnswer(False, reason)

    def alive(self) -> HealthAnswer:
        """The answer of ``/healthz``."""
        age = self._clock() - self._beat
        if age > self._limit:
            return HealthAnswer(
                False, f"Last heartbeat {age:.0f} s ago; the limit is {self._limit:.0f} s."
            )
        return HealthAnswer(True, f"Last heartbeat {max(age, 0):.0f} s ago.")

    def readiness(self) -> HealthAnswer:
        """The answer of ``/readyz``."""
        return self._readiness
