"""Which accounts are due when. Pure: the time and the chance are passed in.

All of them are due every interval, at once: what a plan costs is reading the store and finding
who claims what of all accounts, which is the same for one account as for all. What is spread is
what goes out to others: a connection test that failed is tried again at a time of its own.
"""

from collections.abc import Callable, Mapping
from enum import Enum, auto

from msgspec import Struct

from sendroute.model.owner import Owner


class End(Enum):
    """How a round left an account. ``RETRY``: it may go better without an edit (a provider that
    did not answer, a secret that was not there yet). ``WAITS``: only once the manifests, another
    account or an approval change."""

    SETTLED = auto()
    RETRY = auto()
    WAITS = auto()


class Due(Struct, frozen=True):
    """``accounts`` is None for all of them. None at all is no less a round: another tree may have
    come, whose changes the round finds."""

    accounts: frozenset[Owner] | None


class RetryState(Struct, frozen=True):
    """``attempts`` failed in a row; ``at`` is when the next is due, None for no time of its own."""

    attempts: int
    at: float | None


Random = Callable[[], float]
"""From 0 to 1."""

FIRST = 1.0
"""Seconds that the first retry waits at most."""


def backoff(attempts: int, cap: float, chance: float, first: float = FIRST) -> float:
    """Seconds to wait after so many failures in a row: exponential, with full jitter, so that
    what failed together is not tried again together."""
    return chance * min(cap, first * 2.0 ** min(attempts - 1, 60))


class Schedule:
    """Times are those of one clock that only goes forward, in seconds."""

    def __init__(self, interval: float, random: Random, now: float) -> None:
        self._interval = interval
        self._random = random
        self._all_at = now
        self._changed: frozenset[Owner] | None = None
        self._trouble: dict[Owner, RetryState] = {}
        self._not_before = now
        self._failures = 0

    def changed(self, accounts: frozenset[Owner], now: float) -> None:
        """The manifests of these, or what the store says of them, changed: they are due now,
        whatever they waited for."""
        self._changed = (self._changed or frozenset()) | accounts
        for key in accounts & self._trouble.keys():
            self._trouble[key] = RetryState(0, self._trouble[key].at)
        self._not_before = min(self._not_before, now)

    def tree_changed(self, now: float) -> None:
        """Another tree has come: whoever waits for another account may have it now."""
        waiting = (key for key, trouble in self._trouble.items() if trouble.at is None)
        self.changed(frozenset(waiting), now)

    def everything(self, now: float) -> None:
        self._all_at = min(self._all_at, now)
        self._not_before = min(self._not_before, now)

    def again(self, now: float) -> None:
        """What made the last round fail may be over."""
        self._not_before = min(self._not_before, now)

    def due(self, now: float) -> Due | None:
        """None where there is nothing to be done yet."""
        if now < self._not_before:
            return None
        if now >= self._all_at:
            return Due(None)
        again = {
            key
            for key, trouble in self._trouble.items()
            if trouble.at is not None and trouble.at <= now
        }
        if self._changed is None and not again:
            return None
        return Due((self._changed or frozenset()) | again)

    def next(self) -> float:
        """When something is due without anything happening before."""
        if self._changed is not None:
            return self._not_before
        times = [trouble.at for trouble in self._trouble.values() if trouble.at is not None]
        return max(self._not_before, min([self._all_at, *times]))

    def done(self, due: Due, ends: Mapping[Owner, End], now: float, *, took: float = 0.0) -> None:
        """What became of what was due, in a round that took so many seconds. An account that is
        not among ``ends`` is gone."""
        self._failures = 0
        self._changed = None
        if due.accounts is None:
            self._all_at = now + self._interval
        about = set(self._trouble) if due.accounts is None else due.accounts & self._trouble.keys()
        for key in about - ends.keys():
            del self._trouble[key]
        # A round over a large store costs: retries take at most about a fifth of the time.
        first = max(FIRST, 4 * took)
        for key, end in ends.items():
            match end:
                case End.SETTLED:
                    self._trouble.pop(key, None)
                case End.WAITS:
                    self._trouble[key] = RetryState(0, None)
                case End.RETRY:
                    before = self._trouble.get(key)
                    attempts = (before.attempts if before is not None else 0) + 1
                    wait = backoff(attempts, self._interval, self._random(), first)
                    self._trouble[key] = RetryState(attempts, now + wait)

    def failed(self, now: float) -> float:
        """The round could not be made at all: what was due stays due, after the wait that is
        returned."""
        self._failures += 1
        wait = backoff(self._failures, self._interval, self._random())
        self._not_before = now + wait
        return wait

    @property
    def troubled(self) -> int:
        return len(self._trouble)
