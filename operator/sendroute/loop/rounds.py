"""One round of the loop: choose the tree and the accounts, and reconcile them."""

import logging
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from typing import NamedTuple, assert_never

from msgspec import Struct
from msgspec.structs import replace

from sendroute.loop.protocols import LoopStore
from sendroute.loop.schedule import DueAccounts, RoundState
from sendroute.loop.served_trees import Candidate, ServedTrees, changed
from sendroute.model.change import (
    AccountChange,
    AccountPlan,
    Action,
    DomainChange,
    ObjectChange,
    PlatformChange,
    ProfileChange,
)
from sendroute.model.connection import ConnectionPolicy, TestRequest, TestResult
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding
from sendroute.model.outcome import Outcome, Result
from sendroute.model.owner import PLATFORM, Owner
from sendroute.model.problem import ProblemError, StaleError
from sendroute.model.provenance import Provenance
from sendroute.planner.guards import Guards
from sendroute.reconcile.assessment import AccountStatuses, Assessment, pending_counts
from sendroute.reconcile.protocols import Tester
from sendroute.reconcile.reconciler import Planned, PlanRequest, Reconciler, VerifierFor
from sendroute.reconcile.record import EncryptedCredentials, Record
from sendroute.runtime.stop import Stop

_log = logging.getLogger(__name__)


class RoundOptions(NamedTuple):
    """What a round needs besides the trees and the store. ``stop`` interrupts ``tester``, and ends
    the commits between two accounts."""

    verifier_for: VerifierFor
    tester: Tester
    guards: Guards
    actor: str
    stop: Stop


class RoundResult(Struct, frozen=True):
    """A completed round.

    ``due`` are the reconciled accounts, ``result`` the outcome of each, ``before`` the account
    statuses before. ``adopted`` is true if the tree differs from the previous one. ``drifted``
    counts the changes of each account whose manifests and platform had not changed.
    """

    served: Candidate
    adopted: bool
    due: DueAccounts
    before: AccountStatuses
    result: Result
    assessment: Assessment
    drifted: Mapping[AccountKey, int]

    @property
    def states(self) -> dict[Owner, RoundState]:
        states: dict[Owner, RoundState] = {
            account.key: RoundState.COMPLETE for account in self.result.accounts
        }
        states |= dict.fromkeys(self.assessment.statuses, RoundState.WAITS)
        return states | dict.fromkeys(self.assessment.retryable, RoundState.RETRY)


class StoreMismatch(Struct, frozen=True):
    """No tree belongs to the store, so nothing was done."""

    findings: tuple[Finding, ...]


def run_round(
    store: LoopStore, trees: ServedTrees, due: DueAccounts, options: RoundOptions
) -> RoundResult | StoreMismatch:
    """Reconcile what is due with the newest tree that belongs to the store.

    Args:
        store: the store.
        trees: the trees, at least one.
        due: the accounts to reconcile.
        options: what a round needs besides.

    Returns:
        The result of the round, or the mismatch that prevented it.

    Raises:
        ProblemError: the store, a key or the directory of secrets is unavailable.
    """
    findings: tuple[Finding, ...] = ()
    if due.accounts is not None and PLATFORM in due.accounts:
        due = DueAccounts(None)  # a change of the platform concerns every account
    with options.stop.interruptible():
        statuses = store.account_statuses()
    for candidate in trees.candidates():
        edited = _edited(trees, candidate)
        due_now = DueAccounts(None)
        if edited is not None and due.accounts is not None:
            due_now = DueAccounts(due.accounts | edited)
        record = _CountingRecord(store)
        reconciler = _reconciler(record, options)
        planned = reconciler.plan(candidate.tree, _request(due_now, statuses, options.guards))
        planned, refused = reconciler.confirmed(planned)
        if refused is not None:
            findings = planned.mismatch
            trees.reject(candidate, findings)
            continue
        result, assessment = _commit(reconciler, record, planned, statuses, options)
        # Not earlier, because a failed round is repeated, with all changes.
        adopted = trees.adopt(candidate)
        drifted = {} if edited is None else _drifted(result, edited | statuses.keys())
        return RoundResult(candidate, adopted, due_now, statuses, result, assessment, drifted)
    return StoreMismatch(findings)


def _edited(trees: ServedTrees, candidate: Candidate) -> Set[AccountKey] | None:
    """The accounts whose manifests changed since the last good tree; None for every account."""
    if candidate is trees.last_good:
        return frozenset()
    before = trees.last_good.tree.desired if trees.last_good is not None else None
    return changed(before, candidate.tree.desired)


def _commit(
    reconciler: Reconciler,
    record: "_CountingRecord",
    planned: Planned,
    statuses: AccountStatuses,
    options: RoundOptions,
) -> tuple[Result, Assessment]:
    """Commit a confirmed plan. Raises ProblemError if the store becomes unavailable."""
    _log.debug("Committing the plan of %d accounts.", len(planned.plan.accounts))
    applied = reconciler.commit(
        planned,
        Provenance(datetime.now(UTC), options.actor, planned.tree.commit),
        statuses=statuses,
        should_stop=partial(_should_stop, options.stop, record),
    )
    if record.unavailable is not None:
        raise record.unavailable
    if applied.assessment is None:
        raise ProblemError(*applied.unrecorded)
    return applied.result, applied.assessment


def _reconciler(record: Record, options: RoundOptions) -> Reconciler:
    def test(requests: Sequence[TestRequest], policy: ConnectionPolicy) -> Sequence[TestResult]:
        with options.stop.interruptible():  # also if a commit has to plan again
            return options.tester(requests, policy)

    return Reconciler(record, options.verifier_for, test, options.stop.interruptible)


class _CountingRecord:
    """The store in one round. If several commits in a row fail, the store is unavailable, and not a
    single account invalid: all other commits would fail too, each after a separate wait."""

    _IN_A_ROW = 3

    def __init__(self, store: LoopStore) -> None:
        self._store = store
        self._failed: list[ProblemError] = []
        self.read_with_credentials = store.read_with_credentials
        self.contains = store.contains
        self.is_changed_since = store.is_changed_since
        self.snapshot = store.snapshot
        self.profiles = store.profiles
        self.applied_commits = store.applied_commits
        self.record_commit = store.record_commit
        self.account_statuses = store.account_statuses
        self.write_account_statuses = store.write_account_statuses

    @property
    def unavailable(self) -> ProblemError | None:
        """Why the store is unavailable; None if it is available."""
        return self._failed[-1] if len(self._failed) >= self._IN_A_ROW else None

    def commit(
        self,
        plans: Sequence[AccountPlan],
        platform: PlatformChange | None,
        provenance: Provenance,
        encrypted: EncryptedCredentials = MappingProxyType({}),
    ) -> int:
        with self._counting():
            return self._store.commit(plans, platform, provenance, encrypted)

    def commit_groups(
        self,
        groups: Sequence[Sequence[AccountPlan]],
        provenance: Provenance,
        encrypted: EncryptedCredentials = MappingProxyType({}),
    ) -> list[int]:
        with self._counting():
            return self._store.commit_groups(groups, provenance, encrypted)

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


def _should_stop(stop: Stop, record: _CountingRecord) -> bool:
    return stop.is_set() or record.unavailable is not None


def _request(due: DueAccounts, statuses: AccountStatuses, guards: Guards) -> PlanRequest:
    """What is due, with the guards and the approvals."""
    approved = {
        key: status.approval.digest
        for key, status in statuses.items()
        if isinstance(key, AccountKey) and status.approval is not None and status.approved
    }
    guards = replace(guards, approved=approved)
    if due.accounts is None:
        return PlanRequest(guards)
    keys = frozenset(key for key in due.accounts if isinstance(key, AccountKey))
    return PlanRequest(guards, keys, linked=True, pending=pending_counts(statuses))


def _drifted(result: Result, explained: Set[Owner]) -> dict[AccountKey, int]:
    """The number of changes that put something back, by account. Changes have another reason if the
    manifests changed, a secret was rotated, or the account had a status."""
    if result.platform is Outcome.COMMITTED:
        explained = explained | {outcome.key for outcome in result.accounts}
    committed = {outcome.key for outcome in result.accounts if outcome.outcome is Outcome.COMMITTED}
    counted = {}
    for plan in result.plan.accounts:
        if plan.key in committed and plan.key not in explained:
            counted[plan.key] = sum(map(_puts_back, plan.changes))
    return {key: count for key, count in counted.items() if count}


def _puts_back(change: ObjectChange) -> bool:
    """Whether the change makes something again what the manifests declare. A domain that keeps its
    route is only recorded: without a declared route it stays as another process assigned it."""
    if change.action is Action.SKIP or change.reason == "credentials-changed":
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
