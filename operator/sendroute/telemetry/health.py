"""Whether a process makes progress, and whether it is ready: said by it, asked over HTTP."""

import time
from collections.abc import Callable
from typing import NamedTuple


class Answer(NamedTuple):
    """``text`` is one plain sentence."""

    good: bool
    text: str


class Health:
    """Written by the thread that works, read by those that answer.

    It is alive while the last ``beat`` is no older than ``limit`` seconds: beat wherever the work
    goes on, waiting for the next turn included. It is not ready until it says so.
    """

    def __init__(self, limit: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._beat = clock()
        self._readiness = Answer(False, "It is starting.")

    def beat(self) -> None:
        self._beat = self._clock()

    def ready(self, reason: str) -> None:
        """``reason`` is a sentence that anybody may see who can reach the address."""
        self._readiness = Answer(True, reason)

    def not_ready(self, reason: str) -> None:
        self._readiness = Answer(False, reason)

    def alive(self) -> Answer:
        age = self._clock() - self._beat
        if age > self._limit:
            return Answer(
                False, f"Nothing has gone on for {age:.0f} s, and {self._limit:.0f} s is the limit."
            )
        return Answer(True, f"It went on {max(age, 0):.0f} s ago.")

    def readiness(self) -> Answer:
        return self._readiness
