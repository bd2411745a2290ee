"""Look, reconcile what is due, wait: until it is asked to stop.

Nothing of an account that fails stops another; nothing of a tree that is bad, or of a store that
is away, ends the loop.
"""

import gc
import time
from collections.abc import Mapping
from typing import NamedTuple, assert_never

from sendroute.following.follower import StoppedError
from sendroute.loop.event_log import EventLog
from sendroute.loop.metrics import Metrics
from sendroute.loop.protocols import Head, Health, Open, Store
from sendroute.loop.rounds import Contradiction, Reconciled, RoundOptions, reconcile
from sendroute.loop.schedule import FIRST, Due, Random, Schedule, backoff
from sendroute.loop.tree_source import LoadedTree, TreeSource
from sendroute.loop.wakeup import StoreHandle, WakeupQueue
from sendroute.model.account_status import AccountStatus, Approval
from sendroute.model.codes import Trait, has_trait
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding
from sendroute.model.outcome import Outcome
from sendroute.model.owner import Owner
from sendroute.model.problem import ProblemError

_BEAT = 30.0
"""Seconds that it waits at most, so that it can be seen to be alive."""
_STORE_LONGEST = 15.0
"""Seconds between two tries of a store that is away."""


class Times(NamedTuple):
    """In seconds: between two rounds over every account, and between two looks at the source."""

    interval: float
    poll: float


class Loop:
    """``run`` it once, in the main thread, whose signals ask ``needs.stop``."""

    def __init__(
        self,
        trees: TreeSource,
        opens: Open,
        needs: RoundOptions,
        times: Times,
        metrics: Metrics,
        health: Health,
        chance: Random,
    ) -> None:
        self._trees = trees
        self._needs = needs
        self._times = times
        self._metrics = metrics
        self._health = health
        self._random = chance
        self._wakeups = WakeupQueue()
        self._store_handle = StoreHandle(opens, self._wakeups.put)
        self._event_log = EventLog()
        now = time.monotonic()
        self._schedule = Schedule(times.interval, chance, now)
        self._look_at = now
        self._looks_failed = 0
        self._reread_at = now
        self._rereads = 0
        self._rounds_failed = 0
        self._served: LoadedTree | None = None
        self._seen: Head | None = None  # all up to it was looked at
        self._approvals: frozenset[tuple[Owner, Approval]] = frozenset()
        self._account_statuses: dict[Owner, AccountStatus] = {}
        self._own: dict[AccountKey, int] = {}  # what our last round committed, and as what
        self._store_up = False
        self._store_failed = 0
        self._store_at = now
        self._unwritable = False  # a round found so, and only a round can find that it is over

    def run(self) -> None:
        """Until it is asked to stop. What is being written then is finished."""
        self._needs.stop.on_set(self._wakeups.put)
        try:
            with self._store_handle:
                while not self._needs.stop.is_set():
                    self._turn()
        except (KeyboardInterrupt, StoppedError):
            if not self._needs.stop.is_set():
                raise

    def _turn(self) -> None:
        if time.monotonic() >= self._look_at:
            self._look()
        self._attend_to_store()
        due = self._schedule.due(time.monotonic()) if self._trees.any else None
        if due is not None:
            self._round(due)
        self._tell_health()
        gc.collect()  # a round makes millions of values, and the collector is off meanwhile
        self._wakeups.wait(self._next() - time.monotonic())

    def _next(self) -> float:
        """When something is to be done, though nothing happens before."""
        times = [self._look_at, time.monotonic() + _BEAT]
        if self._trees.any:
            times.append(self._schedule.next())
        if not self._store_up:
            times.append(self._store_at)
        return min(times)

    def _tell_health(self) -> None:
        """Ready is who has reconciled a tree, and whose store answers. A newest tree that is bad
        does not make it unready: the last good one serves, and nothing would be mended by ending
        the loop."""
        self._health.beat()
        fault = self._trees.fault
        if not self._store_up:
            self._health.not_ready("The store does not answer.")
        elif self._served is None:
            why = f": {fault[0].message}" if fault else "."
            self._health.not_ready(f"No tree was reconciled yet{why}")
        elif fault:
            why = f"the newest does not: {fault[0].message}"
            self._health.ready(f"The last good tree serves, for {why}")
        else:
            self._health.ready("The newest tree serves.")

    def _look(self) -> None:
        began = time.monotonic()
        anew = began >= self._reread_at
        came = self._trees.look(anew=anew)
        self._tell_tree()
        now = time.monotonic()
        if came:
            self._schedule.tree_changed(now)
        self._looks_failed = self._looks_failed + 1 if self._trees.unreachable else 0
        wait = self._times.poll
        if self._looks_failed:
            longest = max(wait, self._times.interval)
            wait += backoff(self._looks_failed, longest - wait, self._random(), wait)
        self._look_at = now + wait
        self._plan_reread(came=came, anew=anew, took=now - began)

    def _plan_reread(self, *, came: bool, anew: bool, took: float) -> None:
        """Of a tree that could be read in part only; reading takes a fifth of the time at most."""
        now = time.monotonic()
        if not self._trees.in_part:
            self._rereads, self._reread_at = 0, now
            return
        if came or anew:
            self._rereads = 1 if came else self._rereads + 1
            first = max(FIRST, 4 * took)
            wait = backoff(self._rereads, self._times.interval, self._random(), first)
            self._reread_at = now + wait
        self._look_at = min(self._look_at, self._reread_at)

    def _round(self, due: Due) -> None:
        began = time.monotonic()
        try:
            with self._needs.stop.interruptible():
                store = self._store_handle.store()
                head = store.head()
            done = reconcile(store, self._trees, due, self._needs)
            if isinstance(done, Reconciled):
                self._account_statuses = store.account_statuses()
        except ProblemError as problem:
            of_store = any(has_trait(found.code, Trait.STORE) for found in problem.findings)
            self._failed(problem.findings, of_store=of_store)
            return
        self._up()
        match done:
            case Reconciled():
                self._seen = head
                self._made(done, time.monotonic() - began)
            case Contradiction(findings):
                if self._seen is None:
                    self._seen = head  # all are due; a commit may put the store right before then
                self._failed(findings, of_store=False)
            case _:
                assert_never(done)

    def _made(self, done: Reconciled, took: float) -> None:
        now = time.monotonic()
        self._rounds_failed = 0
        self._event_log.round.now(())
        if done.loaded is not self._served:
            self._serve(done.loaded, remember=done.adopted)
        self._schedule.done(done.due, done.ends, now, took=took)
        self._approvals = _approvals(done.before)
        self._own = {
            each.key: each.revision
            for each in done.result.accounts
            if each.outcome is Outcome.COMMITTED
        }
        self._tell_tree()
        self._event_log.made(done, self._account_statuses)
        self._metrics.made(done, took, time.time())
        self._metrics.revision(done.result.revision)
        newest = not self._trees.fault
        self._metrics.standing(self._account_statuses.values(), newest=newest, now=time.time())
        self._wakeups.put()  # whether others wrote meanwhile

    def _serve(self, taken: LoadedTree, *, remember: bool) -> None:
        self._served = taken
        self._event_log.serving(taken)
        self._metrics.serving(taken)
        if remember:
            try:
                self._trees.remember()
            except ProblemError as problem:
                self._event_log.kept.now(problem.findings)
        # The tree stays: the collector need not look through it again and again.
        gc.unfreeze()
        gc.collect()
        gc.freeze()

    def _failed(self, findings: tuple[Finding, ...], *, of_store: bool) -> None:
        self._rounds_failed += 1
        self._metrics.failed(self._rounds_failed)
        self._schedule.failed(time.monotonic())
        self._tell_tree()
        if of_store:
            self._down(findings)
            self._unwritable = True
        else:
            self._up()
            self._event_log.round.now(findings)

    def _attend_to_store(self) -> None:
        """What others wrote since, or approved: those accounts are due. One row is read where
        nobody did."""
        if not self._store_up and time.monotonic() < self._store_at:
            return
        try:
            with self._needs.stop.interruptible():
                store = self._store_handle.store()
                head = store.head()
                others = self._by_others(store) if self._seen not in (None, head) else frozenset()
        except ProblemError as problem:
            self._down(problem.findings)
            return
        if others != frozenset() and not self._looks_failed:
            self._look()  # they may have applied a newer tree, which the one that serves would undo
        now = time.monotonic()
        if not self._store_up:
            self._schedule.again(now)
        if not self._unwritable:
            self._up()
        if others is None:
            self._schedule.everything(now)
        elif others:
            self._schedule.changed(others, now)
        if self._seen is not None:
            self._seen = head
            self._metrics.revision(head.revision)

    def _by_others(self, store: Store) -> frozenset[Owner] | None:
        """None for all: it is another store, or one that was set back."""
        if self._seen is None or not store.contains(self._seen):
            return None
        changed = store.changed_since(self._seen.revision)
        own = self._own
        others: set[Owner] = {key for key, number in changed.items() if own.get(key) != number}
        approvals = _approvals(self._account_statuses_now(store))
        others |= {key for key, _ in approvals - self._approvals}
        self._approvals |= approvals
        if self._served is not None:
            desired = self._served.source.desired.accounts.keys()
            others |= desired - set(store.accounts()) - self._account_statuses.keys()
        return frozenset(others)

    def _account_statuses_now(self, store: Store) -> dict[Owner, AccountStatus]:
        self._account_statuses = store.account_statuses()
        return self._account_statuses

    def _up(self) -> None:
        self._store_up = True
        self._store_failed = 0
        self._unwritable = False
        self._metrics.store(up=True)
        self._event_log.store.now(())

    def _down(self, findings: tuple[Finding, ...]) -> None:
        self._store_up = False
        self._store_failed += 1
        wait = backoff(self._store_failed, _STORE_LONGEST, self._random())
        self._store_at = time.monotonic() + wait
        self._store_handle.close()
        self._metrics.store(up=False)
        self._event_log.store.now(findings)

    def _tell_tree(self) -> None:
        fault = self._trees.fault
        self._event_log.tree.now(fault)
        self._metrics.tree(good=not fault)


def _approvals(
    account_statuses: Mapping[Owner, AccountStatus],
) -> frozenset[tuple[Owner, Approval]]:
    return frozenset(
        (key, one.approval) for key, one in account_statuses.items() if one.approval is not None
    )
