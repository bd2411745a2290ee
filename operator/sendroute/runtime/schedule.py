"""Which accounts are due when. Pure: the time and the random numbers are passed in.

All accounts are due together every interval: one plan of everything costs less than many plans of
one account each. In between, an account is due when its manifests or its part of the store change.
Requests to other servers are spread: a failed connection test is retried after a random wait.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from enum import Enum, auto

from msgspec import Struct

from sendroute.model.outcome import Result
from sendroute.model.owner import Owner
from sendroute.reconcile.assessment import Assessment
from sendroute.runtime.backoff import FIRST, Random, backoff


class RoundState(Enum):
    """The state of an account after a round. ``RETRY``: a retry may succeed without an edit (a
    provider did not answer, a secret did not exist yet). ``WAITS``: only a change of the manifests,
    of another account or of an approval helps."""

    COMPLETE = auto()
    RETRY = auto()
    WAITS = auto()


def states_of(result: Result, assessment: Assessment) -> dict[Owner, RoundState]:
    """The state of each account after a round.

    Args:
        result: the outcome of each account.
        assessment: what the round left open.

    Returns:
        The states by account.
    """
    states: dict[Owner, RoundState] = {
        account.key: RoundState.COMPLETE for account in result.accounts
    }
    states |= dict.fromkeys(assessment.statuses, RoundState.WAITS)
    return states | dict.fromkeys(assessment.retryable, RoundState.RETRY)


class DueAccounts(Struct, frozen=True):
    """The accounts of one round; None for all accounts. An empty set is a round too: it finds the
    changes of a new tree."""

    accounts: frozenset[Owner] | None


class RetryState(Struct, frozen=True):
    """``attempts`` failed in a row. ``retry_at`` is None for an account that waits for a change."""

    attempts: int
    retry_at: float | None


class Schedule:
    """Times are in seconds, of one monotonic clock. All accounts are due at ``first``; None for
    now."""

    def __init__(
        self, interval: float, random: Random, now: float, first: float | None = None
    ) -> None:
        self._interval = interval
        self._random = random
        self._all_at = now if first is None else first
        self._changed: frozenset[Owner] | None = None
        self._retries: dict[Owner, RetryState] = {}
        self._not_before = now
        self._failures = 0

    def changed(self, accounts: frozenset[Owner], now: float) -> None:
        """Make accounts due now, because their manifests or their state in the store changed.

        Args:
            accounts: the accounts, or the platform.
            now: the time on the schedule's clock, in seconds.
        """
        self._changed = (self._changed or frozenset()) | accounts
        for key in accounts & self._retries.keys():
            self._retries[key] = RetryState(0, self._retries[key].retry_at)
        self._not_before = min(self._not_before, now)

    def tree_changed(self, now: float) -> None:
        """There is a new tree: accounts that wait for a change are due now."""
        waiting = (key for key, retry in self._retries.items() if retry.retry_at is None)
        self.changed(frozenset(waiting), now)

    def all_due(self, now: float) -> None:
        """All accounts are due now."""
        self._all_at = min(self._all_at, now)
        self._not_before = min(self._not_before, now)

    def skip_backoff(self, now: float) -> None:
        """Do not wait for the backoff, because the cause of the last failure may be fixed.

        Args:
            now: the time on the schedule's clock, in seconds.
        """
        self._not_before = min(self._not_before, now)

    def forget(self, owners: AbstractSet[Owner]) -> None:
        """Do not make accounts due by the schedule: something else does.

        Args:
            owners: the accounts, or the platform.
        """
        for owner in owners & self._retries.keys():
            del self._retries[owner]
        if self._changed is not None:
            self._changed = (self._changed - owners) or None

    def waits(self, now: float) -> bool:
        """Return whether a failed round is not repeated yet.

        Args:
            now: the time on the schedule's clock, in seconds.
        """
        return now < self._not_before

    def not_before(self, time: float) -> float:
        """Return ``time``, or when a failed round is repeated if that is later."""
        return max(self._not_before, time)

    def due(self, now: float) -> DueAccounts | None:
        """Return the accounts that are due; None if there is no work yet.

        Args:
            now: the time on the schedule's clock, in seconds.
        """
        if now < self._not_before:
            return None
        if now >= self._all_at:
            return DueAccounts(None)
        again = {
            key
            for key, retry in self._retries.items()
            if retry.retry_at is not None and retry.retry_at <= now
        }
        if self._changed is None and not again:
            return None
        return DueAccounts((self._changed or frozenset()) | again)

    def next(self) -> float:
        """Return the time at which an account is due next, if nothing changes before."""
        if self._changed is not None:
            return self._not_before
        times = [r.retry_at for r in self._retries.values() if r.retry_at is not None]
        return max(self._not_before, min([self._all_at, *times]))

    def round_succeeded(
        self,
        due: DueAccounts,
        states: Mapping[Owner, RoundState],
        now: float,
        *,
        duration: float = 0.0,
    ) -> None:
        """A round is complete.

        Args:
            due: the accounts of the round.
            states: the state of each of them after the round; an account that is missing was
                removed.
            now: the time, in seconds of a monotonic clock.
            duration: seconds that the round took.
        """
        self._failures = 0
        self._changed = None
        if due.accounts is None:
            self._all_at = now + self._interval
        concerned = (
            set(self._retries) if due.accounts is None else due.accounts & self._retries.keys()
        )
        for key in concerned - states.keys():
            del self._retries[key]
        # A round over a large store is slow: retries take at most a fifth of the time.
        first = max(FIRST, 4 * duration)
        for key, state in states.items():
            match state:
                case RoundState.COMPLETE:
                    self._retries.pop(key, None)
                case RoundState.WAITS:
                    self._retries[key] = RetryState(0, None)
                case RoundState.RETRY:
                    before = self._retries.get(key)
                    attempts = (before.attempts if before is not None else 0) + 1
                    wait = backoff(attempts, self._interval, self._random(), first)
                    self._retries[key] = RetryState(attempts, now + wait)

    def round_failed(self, now: float) -> float:
        """Keep the accounts of a round due, because the round failed.

        Args:
            now: the time on the schedule's clock, in seconds.

        Returns:
            The seconds until the next round.
        """
        self._failures += 1
        wait = backoff(self._failures, self._interval, self._random())
        self._not_before = now + wait
        return wait
