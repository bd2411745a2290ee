"""When the source is polled: at regular intervals, less often while it is unreachable, and again if
a tree could be read only in part."""

import time

from sendroute.loop.served_trees import ServedTrees
from sendroute.runtime.backoff import FIRST, Random, backoff


class SourcePoller:
    """``due_at`` is when :meth:`poll` is to be called next, on the clock of ``time.monotonic``."""

    def __init__(
        self, trees: ServedTrees, interval: float, poll_interval: float, random: Random
    ) -> None:
        self._trees = trees
        self._interval = interval
        self._poll_interval = poll_interval
        self._random = random
        self._failures = 0
        self._rereads = 0
        self.due_at = self._reread_at = time.monotonic()

    @property
    def is_reachable(self) -> bool:
        """Whether the last poll reached the source."""
        return not self._failures

    def poll(self) -> bool:
        """Poll the source, and decide when to poll it next.

        Returns:
            Whether there is a tree that was not reconciled yet. A source that is unreachable raises
            nothing: it is a fault of the served trees.
        """
        started = time.monotonic()
        reread = started >= self._reread_at
        is_new = self._trees.poll(reread=reread)
        now = time.monotonic()
        self._failures = self._failures + 1 if self._trees.is_unreachable else 0
        wait = self._poll_interval
        if self._failures:
            longest = max(wait, self._interval)
            wait += backoff(self._failures, longest - wait, self._random(), wait)
        self.due_at = now + wait
        self._schedule_reread(is_new=is_new, reread=reread, duration=now - started)
        return is_new

    def poll_by(self, time: float) -> None:
        """Poll at ``time`` at the latest."""
        self.due_at = min(self.due_at, time)

    def _schedule_reread(self, *, is_new: bool, reread: bool, duration: float) -> None:
        """Schedule reading a partly read tree again. Reading takes at most a fifth of the time."""
        now = time.monotonic()
        if not self._trees.is_partial:
            self._rereads, self._reread_at = 0, now
            return
        if is_new or reread:
            self._rereads = 1 if is_new else self._rereads + 1
            first = max(FIRST, 4 * duration)
            wait = backoff(self._rereads, self._interval, self._random(), first)
            self._reread_at = now + wait
        self.due_at = min(self.due_at, self._reread_at)
