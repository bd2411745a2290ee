"""Poll the source, reconcile the accounts that are due, and wait, until a signal stops the loop.

An account that fails stops no other account. A tree that is invalid, or a store that is
unavailable, does not end the loop.
"""

import logging
import time
from typing import NamedTuple, assert_never

from sendroute.following.follower import StoppedError
from sendroute.loop.event_log import LoopLog
from sendroute.loop.metrics import LoopMetrics
from sendroute.loop.poller import SourcePoller
from sendroute.loop.protocols import OpenStore
from sendroute.loop.rounds import RoundOptions, RoundResult, StoreMismatch, run_round
from sendroute.loop.served_trees import Candidate, ServedTrees
from sendroute.loop.source_record import SourceRecord
from sendroute.model.account_status import AccountStatus
from sendroute.model.codes import Trait, has_trait
from sendroute.model.owner import PLATFORM, Owner
from sendroute.model.problem import ProblemError
from sendroute.runtime.backoff import Random
from sendroute.runtime.contests import Contests
from sendroute.runtime.followed_store import FollowedStore
from sendroute.runtime.health import HealthReporter
from sendroute.runtime.schedule import DueAccounts, Schedule
from sendroute.runtime.transition_log import Advise
from sendroute.runtime.wakeup import StoreHandle, WakeupQueue

_log = logging.getLogger(__name__)

_HEARTBEAT = 30.0
"""Seconds that the loop waits at most, so that its heartbeat is seen."""
_LAST_RECORD = 2.0
"""Seconds in which the stop is recorded."""


class PollIntervals(NamedTuple):
    """In seconds: between two rounds over every account, and between two polls of the source."""

    interval: float
    poll: float


class Loop:
    """Call ``run`` once, in the main thread, whose signals set ``options.stop``."""

    def __init__(
        self,
        trees: ServedTrees,
        open_store: OpenStore,
        options: RoundOptions,
        intervals: PollIntervals,
        metrics: LoopMetrics,
        health: HealthReporter,
        random: Random,
        source: SourceRecord,
        advise: Advise,
    ) -> None:
        self._trees = trees
        self._options = options
        self._metrics = metrics
        self._health = health
        self._wakeups = WakeupQueue()
        self._event_log = LoopLog(advise)
        self._poller = SourcePoller(trees, intervals.interval, intervals.poll, random)
        self._schedule = Schedule(intervals.interval, random, time.monotonic())
        handle = StoreHandle(open_store, self._wakeups.put, random)
        contests = Contests(intervals.interval, random)
        log = self._event_log.store
        self._store = FollowedStore(handle, metrics, log, contests, source.name)
        self._served: Candidate | None = None
        self._source = source

    def run(self) -> None:
        """Run until a signal stops the loop. A transaction that is being written is finished.

        Raises:
            KeyboardInterrupt: an interrupt that did not set the stop.
            StoppedError: the same, while git was running.
        """
        self._options.stop.on_set(self._wakeups.put)
        with self._store.handle:
            try:
                while not self._options.stop.is_set():
                    self._iterate()
            except (KeyboardInterrupt, StoppedError):
                if not self._options.stop.is_set():
                    raise
            self._record_stop()

    def _iterate(self) -> None:
        if time.monotonic() >= self._poller.due_at:
            self._poll()
        self._check_store()
        due = self._schedule.due(time.monotonic()) if self._trees.has_tree else None
        if due is not None:
            self._run_round(due)
        self._record_source()
        self._report_health()
        self._wakeups.wait(self._next_at() - time.monotonic())

    def _next_at(self) -> float:
        """The time of the next work, if nothing wakes the loop before."""
        contested_at = self._store.changes.contests.next()
        times = [self._poller.due_at, contested_at, time.monotonic() + _HEARTBEAT]
        if self._trees.has_tree:
            times.append(self._schedule.next())
        if not self._store.handle.is_up:
            times.append(self._store.handle.retry_at)
        return min(times)

    def _report_health(self) -> None:
        """Report readiness: the loop has reconciled a tree, and the store answers. It stays ready
        if the newest tree is invalid, because the last good tree is served, and a restart would
        not help."""
        self._health.beat()
        fault = self._trees.fault
        if not self._store.handle.is_up:
            self._health.not_ready("The store does not answer.")
        elif self._served is None:
            reason = f": {fault[0].message}" if fault else "."
            self._health.not_ready(f"No tree has been reconciled yet{reason}")
        elif fault:
            reason = f"the newest tree cannot be used: {fault[0].message}"
            self._health.ready(f"The last good tree is served; {reason}")
        else:
            self._health.ready("The newest tree is served.")

    def _poll(self) -> None:
        is_new = self._poller.poll()
        self._report_tree()
        if is_new:
            self._schedule.tree_changed(time.monotonic())

    def _run_round(self, due: DueAccounts) -> None:
        started = time.monotonic()
        try:
            with self._options.stop.interruptible():
                store = self._store.handle.get()
                head = store.head()
            must_wait = self._store.changes.contests.must_wait(PLATFORM, started)
            round_result = run_round(
                store, self._trees, due, self._options, keeps_platform=must_wait
            )
            statuses: dict[Owner, AccountStatus] = {}
            if isinstance(round_result, RoundResult):
                statuses = self._store.round_completed(
                    store,
                    head,
                    round_result.result,
                    round_result.edited,
                    round_result.before,
                    kept_platform=round_result.kept_platform,
                )
        except ProblemError as problem:
            self._round_failed()
            if any(has_trait(finding.code, Trait.STORE) for finding in problem.findings):
                self._store.down(problem.findings, in_round=True)
            else:
                self._store.up()
                self._event_log.round.update(problem.findings)
            return
        self._store.up()
        match round_result:
            case RoundResult():
                self._round_succeeded(round_result, statuses, time.monotonic() - started)
            case StoreMismatch(findings):
                changes = self._store.changes
                if changes.seen is None:  # a commit may fix the store before the next round
                    changes.seen = head
                self._round_failed()
                self._event_log.round.update(findings)
            case _:
                assert_never(round_result)

    def _round_succeeded(
        self, round_result: RoundResult, statuses: dict[Owner, AccountStatus], duration: float
    ) -> None:
        self._event_log.round.update(())
        if round_result.served is not self._served:
            self._serve(round_result.served, remember=round_result.adopted)
        self._schedule.round_succeeded(
            round_result.due, round_result.states, time.monotonic(), duration=duration
        )
        if self._trees.held:
            self._poller.poll_by(self._trees.settles_at)
        if round_result.may_settle_older_tree:
            self._schedule.all_due(time.monotonic())
        self._report_tree()
        self._event_log.round_completed(round_result, statuses)
        self._metrics.round_completed(
            round_result.result,
            round_result.due.accounts,
            round_result.drifted,
            duration,
            time.time(),
        )
        self._metrics.revision(round_result.result.revision)
        is_newest = not self._trees.fault
        self._metrics.statuses(statuses.values(), is_newest=is_newest, now=time.time())
        self._wakeups.put()  # another process may have written in the meantime

    def _serve(self, loaded: Candidate, *, remember: bool) -> None:
        self._served = loaded
        self._event_log.serving(loaded)
        self._metrics.serving(loaded)
        if remember:
            try:
                self._trees.remember()
            except ProblemError as problem:
                self._event_log.last_good.update(problem.findings)

    def _record_source(self) -> None:
        """Record what is served. It is only shown, so a failure is retried with the next wakeup."""
        if not self._store.handle.is_up:
            return
        try:
            with self._options.stop.interruptible():
                faults = self._trees.fault + self._trees.overdue
                self._source.update(self._store.handle.get(), self._served, faults)
        except ProblemError as problem:
            _log.debug("%s", problem)

    def _record_stop(self) -> None:
        """Record that the loop ended. It is only shown, so a store that hangs delays no stop."""
        if not self._store.handle.is_up:
            return
        try:
            with self._options.stop.last_work(_LAST_RECORD):
                self._source.stop(self._store.handle.get())
        except ProblemError as problem:
            _log.debug("%s", problem)
        except KeyboardInterrupt:
            _log.debug("The store did not answer in time to record the stop.")

    def _round_failed(self) -> None:
        self._metrics.round_failed()
        self._schedule.round_failed(time.monotonic())
        self._report_tree()

    def _check_store(self) -> None:
        """Make the accounts due that another process wrote or approved."""
        served = self._served.tree.desired.accounts if self._served is not None else ()
        polled = self._store.poll(served, interruptible=self._options.stop.interruptible)
        if polled is None:
            return
        if polled.accounts != frozenset() and self._poller.is_reachable:
            self._poll()  # another process may have applied a newer tree
        now = time.monotonic()
        if polled.was_down:
            self._schedule.skip_backoff(now)
        if polled.accounts is None:
            self._schedule.all_due(now)
        elif polled.accounts:
            self._schedule.changed(polled.accounts, now)

    def _report_tree(self) -> None:
        fault = self._trees.fault
        self._event_log.tree.update(fault)
        self._event_log.holding(self._trees.held, self._trees.settle)
        self._event_log.overdue.update(self._trees.overdue)
        self._metrics.tree(serves_newest=not fault)
