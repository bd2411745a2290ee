"""Which accounts are due when. Pure: the time and the random numbers are passed in.

Objects of one ``kubectl apply`` or one sync arrive one by one, in any order. An account is due
after some seconds without an event of its objects; what is destructive waits longer
(:class:`SettlePeriod`). Everything else, as retries and the round over all accounts, is as in the
loop.
"""

from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct

from sendroute.cluster.tenancy import for_tenant
from sendroute.cluster.times import Times
from sendroute.model.change import AccountPlan
from sendroute.model.codes import Trait, has_trait
from sendroute.model.owner import PLATFORM, Owner
from sendroute.reconcile.deferral import is_destructive
from sendroute.runtime.backoff import Random
from sendroute.runtime.schedule import DueAccounts, RoundState, Schedule


class SettlePeriod(Struct):
    """The events of one account that were not reconciled: ``first`` and ``last`` are their times.
    The account has settled if no other event arrives for ``settle_time`` seconds."""

    first: float
    last: float
    settle_time: float


class AccountQueue:
    """Times are in seconds, of one monotonic clock. Unlike in the loop, nothing is due at first:
    objects arrive, and the first round over all accounts is asked for when they have settled."""

    def __init__(self, times: Times, random: Random, now: float) -> None:
        self._times = times
        self._schedule = Schedule(times.interval, random, now, now + times.interval)
        self._settling: dict[Owner, SettlePeriod] = {}
        self._claims_vanished: dict[str, float] = {}  # by namespace, the last time

    def changed(self, owners: Iterable[Owner], now: float) -> None:
        """Objects of these accounts changed, or the platform did."""
        for owner in owners:
            before = self._settling.get(owner)
            first = before.first if before is not None else now
            self._settling[owner] = SettlePeriod(first, now, self._times.settle)
        self._schedule.forget(self._settling.keys())

    def claims_vanished(self, namespaces: Collection[str], now: float) -> None:
        """Objects that may claim something were deleted. A claim keeps what another account of its
        namespace holds (rules: a move), so what that loses without it waits as well."""
        if namespaces:
            since = now - self._times.settle_destructive
            recent = {name: at for name, at in self._claims_vanished.items() if at > since}
            self._claims_vanished = recent | dict.fromkeys(namespaces, now)

    @property
    def settling(self) -> frozenset[Owner]:
        """The accounts whose events were not reconciled."""
        return frozenset(self._settling)

    def forget(self, owners: Iterable[Owner]) -> None:
        """Forget the events of these accounts; they are reported again."""
        for owner in owners:
            self._settling.pop(owner, None)

    def due_now(self, owners: Collection[Owner], now: float) -> None:
        """These accounts are due, for another reason than their objects: an approval, a secret,
        another writer of the store."""
        settled = frozenset(owner for owner in owners if owner not in self._settling)
        if settled:
            self._schedule.changed(settled, now)

    def all_due(self, now: float) -> None:
        """All accounts are due now."""
        self._schedule.all_due(now)

    def skip_backoff(self, now: float) -> None:
        """Do not wait for the backoff, because the cause of the last failure may be fixed."""
        self._schedule.skip_backoff(now)

    def due(self, now: float) -> DueAccounts | None:
        """The accounts that are due; None if there is no work yet. If all are, those that have not
        settled are left out by :meth:`is_settled`."""
        scheduled = self._schedule.due(now)
        settled = {owner for owner in self._settling if self.is_settled(owner, now)}
        if self._schedule.waits(now) or (scheduled is None and not settled):
            return None
        if scheduled is not None and scheduled.accounts is None:
            return scheduled
        if scheduled is not None and scheduled.accounts is not None:
            settled |= scheduled.accounts
        return DueAccounts(frozenset(settled))

    def is_settled(self, owner: Owner, now: float) -> bool:
        """Whether an account may be reconciled: no event came for long enough."""
        period = self._settling.get(owner)
        return period is None or now >= self._settled_at(period)

    def next(self) -> float:
        """The time at which an account is due next, if nothing changes before."""
        times = [self._settled_at(period) for period in self._settling.values()]
        return min([self._schedule.next(), *(self._schedule.not_before(time) for time in times)])

    @property
    def depth(self) -> int:
        """The accounts whose events were not reconciled."""
        return len(self._settling)

    def defer(self, owner: Owner, now: float, plan: AccountPlan) -> str | None:
        """Decide whether a planned account must wait, and let it wait.

        Args:
            owner: the account.
            now: the time.
            plan: what would be done.

        Returns:
            What it waits for; None if it may be committed.
        """
        period = self._period(owner, plan)
        if period is None:
            return None
        seconds, reason = settle_time(plan, self._times)
        if now >= self._settled_at(SettlePeriod(period.first, period.last, seconds)):
            return None
        period.settle_time = max(period.settle_time, seconds)
        self._settling[owner] = period
        return reason

    def _period(self, owner: Owner, plan: AccountPlan) -> SettlePeriod | None:
        """The period of an account. That a claim vanished in its namespace is an event for what
        cannot be undone."""
        period = self._settling.get(owner)
        if owner is PLATFORM or not is_destructive(plan):
            return period
        at = self._claims_vanished.get(owner.namespace)
        if at is None or (period is not None and period.last >= at):
            return period
        return SettlePeriod(at if period is None else period.first, at, self._times.settle)

    def waits_for_object(self, owner: Owner) -> bool:
        """Whether an account waits for another object, and not only until it has settled."""
        period = self._settling.get(owner)
        return period is not None and period.settle_time >= self._times.grace_period

    def _settled_at(self, period: SettlePeriod) -> float:
        return min(period.last + period.settle_time, period.first + self._times.settle_longest)

    def reconciled(
        self,
        due: DueAccounts,
        states: Mapping[Owner, RoundState],
        done: Collection[Owner],
        now: float,
        duration: float = 0.0,
    ) -> None:
        """A round is complete.

        Args:
            due: the accounts of the round.
            states: the state of each of them after the round.
            done: those whose events were reconciled; the others settle for longer.
            now: the time.
            duration: seconds that the round took.
        """
        for owner in self._settling.keys() & set(done):
            del self._settling[owner]
        self._schedule.round_succeeded(due, states, now, duration=duration)
        self._schedule.forget(self._settling.keys())

    def round_failed(self, now: float) -> float:
        """The round failed: its accounts stay due. Returns the seconds until the next round."""
        return self._schedule.round_failed(now)


def settle_time(plan: AccountPlan, times: Times) -> tuple[float, str | None]:
    """How long no event of an account may arrive before its plan is committed.

    Args:
        plan: what would be done.
        times: the time spans.

    Returns:
        Seconds, and what the account waits for, as its tenant may read it.
    """
    missing = next((item for item in plan.findings if has_trait(item.code, Trait.PASSING)), None)
    if missing is not None:
        return times.grace_period, for_tenant(missing, plan.key.namespace).message
    if is_destructive(plan):
        return times.settle_destructive, "More objects of the account may follow."
    return times.settle, None


def with_platform(due: DueAccounts) -> DueAccounts:
    """A change of the platform concerns every account."""
    if due.accounts is not None and PLATFORM in due.accounts:
        return DueAccounts(None)
    return due
