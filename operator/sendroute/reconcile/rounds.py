"""What each round of a process that runs for long needs besides the reconciler: the request for
what is due, a store that is known to be unavailable, and what drifted."""

import logging
from collections.abc import Callable, Collection, Iterator, Sequence, Set
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Protocol, assert_never

from msgspec.structs import replace

from sendroute.model.account_status import AccountStatus, StatusReason
from sendroute.model.change import (
    AccountChange,
    AccountPlan,
    Action,
    ChangeReason,
    DomainChange,
    ObjectChange,
    PlatformChange,
    ProfileChange,
)
from sendroute.model.connection import ConnectionPolicy, TestRequest, TestResult
from sendroute.model.credential import EncryptedCredentials
from sendroute.model.desired import AccountKey
from sendroute.model.outcome import Outcome, Result
from sendroute.model.owner import PLATFORM, Owner
from sendroute.model.problem import ProblemError, StaleError
from sendroute.model.provenance import Provenance
from sendroute.planner.guards import Guards
from sendroute.reconcile.assessment import AccountStatuses, Assessment, pending_counts
from sendroute.reconcile.protocols import Tester
from sendroute.reconcile.reconciler import Planned, PlanRequest, Reconciler, VerifierFor
from sendroute.reconcile.record import Record

_log = logging.getLogger(__name__)


def request_for(
    accounts: Collection[Owner] | None,
    statuses: AccountStatuses,
    guards: Guards,
    *,
    keeps_platform: bool,
) -> PlanRequest:
    """The request of a plan for what is due, with the guards and the approvals.

    Args:
        accounts: what is due; None for everything.
        statuses: the account statuses.
        guards: the limits.
        keeps_platform: the change of the platform must wait, unless it is due.

    Returns:
        The request. The accounts that exchange domains with these are planned with them.
    """
    approved = {
        key: status.approval.digest
        for key, status in statuses.items()
        if isinstance(key, AccountKey) and status.approval is not None and status.approved
    }
    guards = replace(guards, approved=approved)
    if accounts is None:
        return PlanRequest(guards)
    keys = frozenset(key for key in accounts if isinstance(key, AccountKey))
    return PlanRequest(
        guards,
        keys,
        linked=True,
        pending=pending_counts(statuses),
        keeps_platform=keeps_platform and PLATFORM not in accounts,
    )


class CountingRecord:
    """The store in one round. If several commits in a row fail, the store is unavailable, and not a
    single account invalid: all other commits would fail too, each after a separate wait.

    ``left_alone`` are accounts whose statuses are not written, because another process owns them.
    """

    _IN_A_ROW = 3

    def __init__(
        self, store: Record, left_alone: Callable[[Owner], bool] = lambda _owner: False
    ) -> None:
        self._store = store
        self._left_alone = left_alone
        self._failed: list[ProblemError] = []
        self.read_with_credentials = store.read_with_credentials
        self.contains = store.contains
        self.is_changed_since = store.is_changed_since
        self.snapshot = store.snapshot
        self.profiles = store.profiles
        self.applied_commits = store.applied_commits
        self.record_commits = store.record_commits
        self.account_statuses = store.account_statuses

    @property
    def location(self) -> str:
        """As :attr:`Record.location`."""
        return self._store.location

    @property
    def unavailable(self) -> ProblemError | None:
        """Why the store is unavailable; None if it is available."""
        return self._failed[-1] if len(self._failed) >= self._IN_A_ROW else None

    def write_account_statuses(
        self, written: Sequence[AccountStatus], cleared: Collection[Owner]
    ) -> None:
        """As :meth:`Record.write_account_statuses`, without the accounts that are left alone."""
        self._store.write_account_statuses(
            [status for status in written if not self._left_alone(status.key)],
            [owner for owner in cleared if not self._left_alone(owner)],
        )

    def commit(
        self,
        plans: Sequence[AccountPlan],
        platform: PlatformChange | None,
        provenance: Provenance,
        encrypted: EncryptedCredentials = MappingProxyType({}),
        latest: Collection[str] = (),
    ) -> int:
        """As :meth:`Record.commit`."""
        with self._counting():
            return self._store.commit(plans, platform, provenance, encrypted, latest)

    def commit_groups(
        self,
        groups: Sequence[Sequence[AccountPlan]],
        provenance: Provenance,
        encrypted: EncryptedCredentials = MappingProxyType({}),
        latest: Collection[str] = (),
    ) -> list[int]:
        """As :meth:`Record.commit_groups`."""
        with self._counting():
            return self._store.commit_groups(groups, provenance, encrypted, latest)

    @contextmanager
    def _counting(self) -> Iterator[None]:
        try:
            yield
        except StaleError:
            raise
        except ProblemError as problem:
            self._failed.append(problem)
            raise
        self._failed.clear()


class RoundStop(Protocol):
    """The stop of a process that runs for long."""

    def is_set(self) -> bool:
        """Whether it was asked to stop."""
        ...

    def interruptible(self) -> AbstractContextManager[None]:
        """A context for work that writes nothing."""
        ...


def round_reconciler(
    record: Record, verifier_for: VerifierFor, tester: Tester, stop: RoundStop
) -> Reconciler:
    """Build the reconciler of one round.

    Args:
        record: the store.
        verifier_for: builds the verifier of one run.
        tester: tests connections.
        stop: interrupts the tests, also if a commit has to plan again.

    Returns:
        The reconciler.
    """

    def test(requests: Sequence[TestRequest], policy: ConnectionPolicy) -> Sequence[TestResult]:
        with stop.interruptible():
            return tester(requests, policy)

    return Reconciler(record, verifier_for, test, stop.interruptible)


def commit_round(
    reconciler: Reconciler,
    record: CountingRecord,
    planned: Planned,
    statuses: AccountStatuses,
    actor: str,
    stop: RoundStop,
) -> tuple[Result, Assessment]:
    """Commit a confirmed plan, until the stop is set.

    Args:
        reconciler: made with ``record``.
        record: the store in this round.
        planned: the confirmed plan.
        statuses: the account statuses before.
        actor: who commits it.
        stop: ends the commits between two accounts.

    Returns:
        The outcome of each account, and what it leaves open.

    Raises:
        ProblemError: the store became unavailable.
    """
    _log.debug("Committing the plan of %d accounts.", len(planned.plan.accounts))
    applied = reconciler.commit(
        planned,
        Provenance(datetime.now(UTC), actor, planned.tree.commit),
        statuses=statuses,
        should_stop=lambda: stop.is_set() or record.unavailable is not None,
    )
    if record.unavailable is not None:
        raise record.unavailable
    if applied.assessment is None:
        raise ProblemError(*applied.unrecorded)
    return applied.result, applied.assessment


def left_open(statuses: AccountStatuses) -> frozenset[Owner]:
    """The accounts that an earlier round left open, so that a change of them may be no drift.

    Args:
        statuses: the account statuses before a round.

    Returns:
        The accounts. One that another writer contests was applied completely each time.
    """
    return frozenset(
        owner for owner, status in statuses.items() if status.reason is not StatusReason.CONTESTED
    )


def drifted(result: Result, explained: Set[Owner]) -> dict[AccountKey, int]:
    """Count the changes that repaired drift.

    Args:
        result: what a round did.
        explained: accounts whose changes have another reason: their manifests changed, or they had
            a status (:func:`left_open`).

    Returns:
        The number of changes by account. A rotated secret is no drift.
    """
    if result.platform is Outcome.COMMITTED:
        explained = explained | {outcome.key for outcome in result.accounts}
    committed = {outcome.key for outcome in result.accounts if outcome.outcome is Outcome.COMMITTED}
    counted = {}
    for plan in result.plan.accounts:
        if plan.key in committed and plan.key not in explained:
            counted[plan.key] = sum(map(_repairs, plan.changes))
    return {key: count for key, count in counted.items() if count}


def recorded(result: Result, explained: Set[Owner]) -> dict[AccountKey, list[str]]:
    """Find the changes that repair nothing: a domain without a declared route keeps the route
    that another process assigned, and only that its manifest declares none is recorded.

    Args:
        result: what a round did.
        explained: as for :func:`drifted`.

    Returns:
        What is recorded, as sentences, by account.
    """
    if result.platform is Outcome.COMMITTED:
        return {}
    committed = {outcome.key for outcome in result.accounts if outcome.outcome is Outcome.COMMITTED}
    sentences = {
        plan.key: [
            change.message
            for change in plan.changes
            if isinstance(change, DomainChange) and change.action is Action.UPDATE
        ]
        for plan in result.plan.accounts
        if plan.key in committed and plan.key not in explained
    }
    return {key: messages for key, messages in sentences.items() if messages}


_RESAVED = (ChangeReason.CREDENTIALS_CHANGED, ChangeReason.CREDENTIALS_LOST)


def _repairs(change: ObjectChange) -> bool:
    """Whether the change makes something again what the manifests declare. A domain that keeps its
    route is only recorded: without a declared route it stays as another process assigned it."""
    if change.action is Action.SKIP or change.reason in _RESAVED:
        return False
    match change:
        case DomainChange():
            return change.action is not Action.UPDATE
        case AccountChange():
            return change.before != change.after
        case ProfileChange():
            return True
        case _:
            assert_never(change)
