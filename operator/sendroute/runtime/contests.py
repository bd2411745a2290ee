"""Which accounts another writer reverts each time that they are applied; the same for the
platform.

Two loops over different manifests or secrets each take the work of the other for drift. A change by
another writer is repaired at once. Only if that happens several times in a row, each further time
waits for longer. Pure: the times, in seconds of one monotonic clock, and the random numbers are
passed in.
"""

import math
from collections.abc import Collection, Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from sendroute.model.account_status import AccountStatus, StatusReason, StatusReport, reported
from sendroute.model.codes import Code, finding
from sendroute.model.finding import TenantText
from sendroute.model.followed_source import FollowedSource
from sendroute.model.outcome import Outcome
from sendroute.model.owner import PLATFORM, Owner
from sendroute.model.provenance import AccountRevision
from sendroute.runtime.backoff import FIRST, Random

_AT_ONCE = 3
"""So many times in a row an account is repaired at once; it is contested from the last of them."""
_INTERVALS = 3
_SHORTEST = 900.0
"""A contest ends if nothing was repaired for so many intervals, and for so many seconds."""


class Contest(Struct, frozen=True):
    """``count`` is how often an account was repaired in a row, at ``last`` the last time.
    ``writer`` changed it before, None if that is unknown. It is not repaired again before
    ``held_until``; it is contested since ``since``."""

    count: int
    last: float
    writer: AccountRevision | None
    held_until: float
    since: datetime


class Contests:
    """The contests of one process, which reconciles everything every ``interval`` seconds."""

    def __init__(self, interval: float, random: Random) -> None:
        self._interval = interval
        self._random = random
        self._lasting = max(_INTERVALS * interval, _SHORTEST)
        self._changed: dict[Owner, AccountRevision | None] = {}  # since they were reconciled
        self._waiting: set[Owner] = set()  # of these, those that were not reported as due
        self._contests: dict[Owner, Contest] = {}

    def changed(self, accounts: Mapping[Owner, AccountRevision | None]) -> None:
        """Another writer changed these accounts; None if it is unknown."""
        self._changed |= accounts
        self._waiting |= accounts.keys()

    def take_due(self, now: float) -> frozenset[Owner]:
        """The accounts that another writer changed, without those that must wait; each once."""
        due = frozenset(key for key in self._waiting if self._held_until(key) <= now)
        self._waiting -= due
        return due

    def next(self) -> float:
        """Return when an account that another writer changed is due; infinity without one."""
        return min(map(self._held_until, self._waiting), default=math.inf)

    def must_wait(self, key: Owner, now: float) -> bool:
        """Whether an account, or the platform, is contested and must not be repaired yet.

        Args:
            key: the account, or the platform.
            now: the time.

        Returns:
            Whether its repair must wait.
        """
        return self._held_until(key) > now

    def _held_until(self, key: Owner) -> float:
        contest = self._contests.get(key)
        return -math.inf if contest is None else contest.held_until

    def reconciled(
        self,
        outcomes: Mapping[Owner, Outcome],
        edited: Collection[Owner],
        now: float,
        at: datetime,
    ) -> None:
        """A round is complete.

        Args:
            outcomes: what it did to each account.
            edited: those whose manifests had changed. An edit may end a contest.
            now: the time.
            at: the same time, aware, in UTC.
        """
        for key in edited:
            self._contests.pop(key, None)
        for key, outcome in outcomes.items():
            if key in self._changed and key not in edited:
                if outcome is Outcome.COMMITTED:
                    self._record_repair(key, now, at)
                elif outcome is Outcome.UNCHANGED and self._is_its_writer(key):
                    self._contests.pop(key)  # the two agree
            self._changed.pop(key, None)
            self._waiting.discard(key)
        self._contests = {
            key: contest
            for key, contest in self._contests.items()
            if now - contest.last <= self._lasting
        }

    def _is_its_writer(self, key: Owner) -> bool:
        """Whether the writer that contested an account changed it last. A third one may have
        repaired it."""
        contest, last = self._contests.get(key), self._changed[key]
        if contest is None or contest.writer is None or last is None:
            return False
        return replace(contest.writer, revision=last.revision) == last

    def _record_repair(self, key: Owner, now: float, at: datetime) -> None:
        before = self._contests.get(key)
        count = 1 if before is None else before.count + 1
        held_until, since = now, at
        if count >= _AT_ONCE:
            longest = min(self._interval, FIRST * 2.0 ** min(count - _AT_ONCE, 60))
            held_until = now + longest * (1 + self._random()) / 2  # two loops do not keep in step
        if before is not None and before.count >= _AT_ONCE:
            since = before.since
        self._contests[key] = Contest(count, now, self._changed[key], held_until, since)

    @property
    def contested(self) -> Mapping[Owner, Contest]:
        """The accounts that were repaired too often."""
        return {
            key: contest for key, contest in self._contests.items() if contest.count >= _AT_ONCE
        }

    def statuses(
        self, stored: Mapping[Owner, AccountStatus], others: Collection[FollowedSource]
    ) -> list[AccountStatus]:
        """The statuses of contested accounts that differ from the stored ones.

        Args:
            stored: every status in the store.
            others: what other loops follow.

        Returns:
            The statuses to write.
        """
        written = []
        for key, contest in self.contested.items():
            old = stored.get(key)
            status = _with_contest(old, _status(key, contest, others))
            if status != old:
                written.append(status)
        return written


def _with_contest(old: AccountStatus | None, contested: AccountStatus) -> AccountStatus:
    """The status of a contested account that also says what else is left open.

    If nothing was applied, the old one remains: nothing is reverted meanwhile. Of the platform the
    contest comes first, because the rest are errors of files that are reported by themselves.
    """
    if old is None:
        return contested
    if old.reason in (StatusReason.HELD_BACK, StatusReason.FAILED):
        return old
    others = tuple(item for item in old.report.findings if item.code != Code.CONTESTED_ACCOUNT)
    [contest] = contested.report.findings
    if old.reason is StatusReason.CONTESTED or old.key is PLATFORM:
        report = replace(old.report, findings=(contest, *others))
        return replace(contested, report=report, commit=old.commit)
    return replace(old, report=replace(old.report, findings=(*others, contest)))


def _status(key: Owner, contest: Contest, others: Collection[FollowedSource]) -> AccountStatus:
    subject = "The platform" if key is PLATFORM else f"Account {key}"
    reverted = f"{subject} is reverted each time that Sendroute applies it, by"
    then = "Sendroute applies it again with exponential backoff."
    hint = Code.CONTESTED_ACCOUNT.fix
    problem = finding(
        "contested-account",
        f"{reverted} {_writer(contest.writer, others)}. {then}",
        hint=hint,
        account=None if key is PLATFORM else (key.namespace, key.name),
        # The writer may follow a source that no tenant may know of.
        for_tenant=TenantText(f"{reverted} another writer of the store. {then}", hint),
    )
    report = StatusReport((reported(problem),))
    return AccountStatus(key, StatusReason.CONTESTED, report, contest.since)


def _writer(writer: AccountRevision | None, others: Collection[FollowedSource]) -> str:
    if writer is None:
        return "another process"
    names = [
        source.name
        for source in others
        if source.stopped_at is None and source.commit == writer.source_commit
    ]
    commit = f" from commit {writer.source_commit}" if writer.source_commit else ""
    follows = f" (a loop follows {', '.join(names)})" if names else ""
    return f"{writer.actor}{commit}{follows}"
