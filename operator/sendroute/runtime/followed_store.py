"""The store of a process that runs for long: whether it answers, and what others changed in it."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Generic, NamedTuple, Protocol, TypeVar

from sendroute.model.account_status import AccountStatus
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding
from sendroute.model.followed_source import FollowedSource
from sendroute.model.outcome import Result
from sendroute.model.owner import Owner
from sendroute.model.problem import ProblemError
from sendroute.model.provenance import Head
from sendroute.runtime.contests import Contests
from sendroute.runtime.metrics import RoundMetrics
from sendroute.runtime.store_changes import ChangingStore, StoreChanges
from sendroute.runtime.transition_log import TransitionLog
from sendroute.runtime.wakeup import StoreHandle, WatchedStore


class SharedStore(WatchedStore, ChangingStore, Protocol):
    """An open store that other processes write too."""

    def head(self) -> Head:
        """Return the latest commit of the store."""
        ...

    def followed_sources(self) -> tuple[FollowedSource, ...]:
        """Return what loops follow, in the order of the sources' names."""
        ...

    def write_account_statuses(
        self, written: Sequence[AccountStatus], cleared: Collection[Owner]
    ) -> None:
        """Insert, replace and delete statuses, without a new revision.

        Args:
            written: the statuses to insert or replace.
            cleared: the owners whose status is deleted.
        """
        ...


S = TypeVar("S", bound=SharedStore)


class StorePoll(NamedTuple):
    """``accounts`` are those that another process wrote or approved; None for all. ``was_down``:
    the store answers for the first time since it did not."""

    accounts: frozenset[Owner] | None
    was_down: bool


class FollowedStore(Generic[S]):
    """Logs and measures whether the store answers. For one thread, like ``handle``, which opens
    and closes it. ``changes`` is what others did since the last round. ``source`` is what this
    process follows, as the store names it."""

    def __init__(
        self,
        handle: StoreHandle[S],
        metrics: RoundMetrics,
        log: TransitionLog,
        contests: Contests,
        source: str | None = None,
    ) -> None:
        self.handle = handle
        self.changes = StoreChanges(contests)
        self._source = source
        self._metrics = metrics
        self._log = log
        self._write_failed = False  # only a round shows whether the store can be written again

    def poll(
        self,
        served: Collection[AccountKey],
        prepare: Callable[[S], None] = lambda _store: None,
        interruptible: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> StorePoll | None:
        """Look whether the store answers, and what others changed. Reads only one row if they
        changed nothing.

        Args:
            served: the accounts of the tree that was reconciled last.
            prepare: called with the store before it is read.
            interruptible: the context of the reads.

        Returns:
            What was seen; None if the store does not answer, or is not asked yet.
        """
        handle = self.handle
        if not handle.is_up and time.monotonic() < handle.retry_at:
            return None
        try:
            with interruptible():
                store = handle.get()
                prepare(store)
                head = store.head()
                accounts = self.changes.by_others(store, head, served)
                if self.changes.seen not in (None, head):
                    self._show_contests(store)
        except ProblemError as problem:
            self.down(problem.findings)
            return None
        was_down = not handle.is_up
        if not self._write_failed:
            self.up()
        if self.changes.seen is not None:
            self.changes.advance(head)
            self._metrics.revision(head.revision)
        return StorePoll(accounts, was_down)

    def round_completed(
        self,
        store: S,
        head: Head,
        result: Result,
        edited: Collection[Owner],
        before: Mapping[Owner, AccountStatus],
        *,
        kept_platform: bool,
    ) -> dict[Owner, AccountStatus]:
        """A round is complete: record it, and show which accounts are contested.

        Args:
            store: the store.
            head: its head before the round.
            result: what the round did.
            edited: the owners whose manifests had changed.
            before: the account statuses before.
            kept_platform: the round did not decide the platform.

        Returns:
            The account statuses now.

        Raises:
            ProblemError: the store is unavailable.
        """
        self.changes.record_round(
            head, result, edited, before, store.account_statuses(), kept_platform=kept_platform
        )
        self._show_contests(store)
        return self.changes.statuses

    def _show_contests(self, store: S) -> None:
        """Write the statuses of contested accounts."""
        contests = self.changes.contests
        if not contests.contested:
            return
        others = [item for item in store.followed_sources() if item.name != self._source]
        written = contests.statuses(self.changes.statuses, others)
        store.write_account_statuses(written, ())
        shown = {status.key: status for status in written}
        self.changes.statuses = {**self.changes.statuses, **shown}

    def up(self) -> None:
        """The store answered to everything that was asked."""
        self.handle.mark_up()
        self._write_failed = False
        self._metrics.store(up=True)
        self._log.update(())

    def down(self, findings: Iterable[Finding], *, in_round: bool = False) -> None:
        """Log that the store does not answer.

        Args:
            findings: why.
            in_round: a round failed. Then only another round shows that the store answers: it may
                still be readable.
        """
        self.handle.mark_down()
        self._write_failed = self._write_failed or in_round
        self._metrics.store(up=False)
        self._log.update(findings)
