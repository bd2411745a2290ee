"""A limit for the processor time of work that a file asks for, such as a regular expression with
exponentially many ways to fail."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# A handler may run where Python drops exceptions (object.__del__): then it runs again.
_REPEAT_SECONDS = 0.5


class TimeUsedUpError(Exception):
    """The work took longer than what was left of its budget."""


class TimeBudget:
    """The processor time that is left for some work. The program's other work and a busy machine
    take nothing of it.

    Signals end the work, so it must be in the main thread (signal(2), SIGVTALRM).

    Args:
        seconds: how much there is at first.
    """

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    def add(self, seconds: float) -> None:
        self._left += seconds

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Take what the block needs from the budget.

        Raises:
            TimeUsedUpError: in the block, when nothing is left.
        """
        is_running, is_used_up = True, False

        def end(_number: int, _frame: FrameType | None) -> None:
            nonlocal is_used_up
            if is_running:
                is_used_up = True
                raise TimeUsedUpError

        before = signal.signal(signal.SIGVTALRM, end)
        try:
            signal.setitimer(signal.ITIMER_VIRTUAL, max(self._left, 1e-6), _REPEAT_SECONDS)
            try:
                yield
            finally:
                is_running = False
        finally:
            left, _ = signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            self._left = 0.0 if is_used_up else left
            signal.signal(signal.SIGVTALRM, before)
