"""One round: what is due is planned, proven, committed, and what is left of it written down."""

import logging
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

from msgspec import Struct

from sendroute.loop.protocols import Store
from sendroute.loop.schedule import Due, End
from sendroute.loop.stop import Stop
from sendroute.loop.tree_source import LoadedTree, TreeSource, changed
from sendroute.model.change import AccountPlan, Action, PlatformChange
from sendroute.model.connection import ConnectionPolicy, TestResult
from sendroute.model.current import Current
from sendroute.model.desired import AccountKey, Desired
from sendroute.model.finding import Finding
from sendroute.model.outcome import Outcome, Result
from sendroute.model.owner import PLATFORM, Owner
from sendroute.model.problem import ProblemError, StaleError
from sendroute.model.provenance import Provenance
from sendroute.planner.claims import linked_accounts
from sendroute.planner.guards import Guards
from sendroute.reconcile.assessment import AccountStatuses, Assessment, assess
from sendroute.reconcile.planned import Planned, Prove, plan_source
from sendroute.reconcile.protocols import Tester, Try
from sendroute.reconcile.record import Record, Sealed
from sendroute.reconcile.verifier import Scope

_log = logging.getLogger(__name__)


class Limits(NamedTuple):
    """Shares of an account's domains that a round may change unasked, in percent."""

    change_percent: int
    remove_percent: int


class Reconciler(NamedTuple):
    """All that a round needs besides the trees and the store. ``tester`` is broken off by a stop;
    ``ended`` ends the commits between two accounts."""

    prove: Prove
    tester: Tester
    limits: Limits
    actor: str
    stop: Stop


class Reconciled(Struct, frozen=True):
    """``due`` is what was reconciled, ``result`` what became of it; ``before`` is what was
    unsettled when it began. ``adopted``: the tree is another than before. ``drifted`` says
    how many changes were made to each account though neither its manifests nor the platform had
    changed."""

    taken: LoadedTree
    adopted: bool
    due: Due
    before: AccountStatuses
    result: Result
    settled: Assessment
    drifted: Mapping[AccountKey, int]

    @property
    def ends(self) -> dict[Owner, End]:
        ends: dict[Owner, End] = {one.key: End.SETTLED for one in self.result.accounts}
        ends |= dict.fromkeys(self.settled.now, End.WAITS)
        return ends | dict.fromkeys(self.settled.again, End.RETRY)


class Contradiction(Struct, frozen=True):
    """No tree fits the store: nothing was done."""

    findings: tuple[Finding, ...]


def reconcile(
    store: Store, trees: TreeSource, due: Due, needs: Reconciler
) -> Reconciled | Contradiction:
    """Of trees there has to be one. Raises :class:`~sendroute.model.problem.ProblemError` where it
    cannot be made: the store, a key or the folder of secrets is away."""
    findings: tuple[Finding, ...] = ()
    if due.accounts is not None and PLATFORM in due.accounts:
        due = Due(None)  # what the platform says concerns everyone
    with needs.stop.breaking_off():
        account_statuses = store.account_statuses()
    for taken in trees.candidates():
        before = trees.good.source.desired if trees.good is not None else None
        turned = changed(before, taken.source.desired) if taken is not trees.good else frozenset()
        due_now = Due(None)
        if turned is not None and due.accounts is not None:
            due_now = Due(due.accounts | turned)
        record = _Recording(store)
        planned = _planned(record, taken, due_now, account_statuses, needs)
        if planned.mismatch:
            findings = planned.mismatch
            trees.refuse(taken, findings)
            continue
        _log.debug("Committing what is planned of %d accounts.", len(planned.plan.accounts))
        ended = partial(_is_over, needs.stop, record)
        result = planned.carry_out(_provenance(needs, taken), ended=ended)
        if record.away is not None:
            raise record.away
        settled = assess(
            result,
            account_statuses,
            planned.scope.only,
            datetime.now(UTC),
            taken.source.commit,
            taken.source.locate,
        )
        store.write_account_statuses(settled.written, settled.cleared)
        # Not before: a round that could not be made is made again, with all that has changed.
        adopted = trees.adopt(taken)
        drifted = {} if turned is None else _drifted(result, turned | account_statuses.keys())
        return Reconciled(taken, adopted, due_now, account_statuses, result, settled, drifted)
    return Contradiction(findings)


class _Recording:
    """The store in one round. Where several commits in a row fail, it is the store that is away
    and not an account that is bad: the others would fail as well, each after a wait of its own."""

    _IN_A_ROW = 3

    def __init__(self, store: Store) -> None:
        self._store = store
        self._failed: list[ProblemError] = []
        self.read_sealed = store.read_sealed
        self.contains = store.contains

    @property
    def away(self) -> ProblemError | None:
        """Why it is, None where it is not."""
        return self._failed[-1] if len(self._failed) >= self._IN_A_ROW else None

    def commit(
        self,
        plans: Sequence[AccountPlan],
        platform: PlatformChange | None,
        provenance: Provenance,
        sealed: Sealed = MappingProxyType({}),
    ) -> int:
        with self._counting():
            return self._store.commit(plans, platform, provenance, sealed)

    def commit_groups(
        self,
        groups: Sequence[Sequence[AccountPlan]],
        provenance: Provenance,
        sealed: Sealed = MappingProxyType({}),
    ) -> list[int]:
        with self._counting():
            return self._store.commit_groups(groups, provenance, sealed)

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


def _is_over(stop: Stop, record: _Recording) -> bool:
    return stop.asked() or record.away is not None


def _planned(
    store: Record, taken: LoadedTree, due: Due, account_statuses: AccountStatuses, needs: Reconciler
) -> Planned:
    approved = {
        key: one.approval.digest
        for key, one in account_statuses.items()
        if isinstance(key, AccountKey) and one.approval is not None and one.approved
    }
    guards = Guards(needs.limits.change_percent, needs.limits.remove_percent, approved)

    def scope(current: Current) -> Scope:
        return Scope(guards, _together(taken.source.desired, current, due))

    def test(tries: Sequence[Try], policy: ConnectionPolicy) -> Sequence[TestResult]:
        with needs.stop.breaking_off():  # also where a commit has to plan again
            return needs.tester(tries, policy)

    with needs.stop.breaking_off():
        planned = plan_source(store, taken.source, needs.prove, scope)
        return planned if planned.mismatch else planned.tested_by(test)


def _together(desired: Desired, current: Current, due: Due) -> frozenset[AccountKey] | None:
    """With what is due all that it exchanges domains with, or these would wait."""
    if due.accounts is None:
        return None
    keys = frozenset(key for key in due.accounts if isinstance(key, AccountKey))
    return linked_accounts(desired.accounts, current.accounts, keys)


def _provenance(needs: Reconciler, taken: LoadedTree) -> Provenance:
    return Provenance(datetime.now(UTC), needs.actor, taken.source.commit)


def _drifted(result: Result, explained: Set[Owner]) -> dict[AccountKey, int]:
    """What was put back. An account whose manifests changed, or of which something was unsettled,
    has another reason; so has a secret with another content."""
    if result.platform is Outcome.COMMITTED:
        explained = explained | {outcome.key for outcome in result.accounts}
    committed = {outcome.key for outcome in result.accounts if outcome.outcome is Outcome.COMMITTED}
    counted = {}
    for plan in result.plan.accounts:
        if plan.key in committed and plan.key not in explained:
            counted[plan.key] = sum(
                change.action is not Action.SKIP and change.reason != "credentials-changed"
                for change in plan.changes
            )
    return {key: count for key, count in counted.items() if count}
