"""One round of the operator: plan the accounts that are due, let wait what has not settled, and
commit the rest."""

import time
from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial
from typing import NamedTuple

from msgspec import Struct

from sendroute.cluster.desired import DesiredState
from sendroute.cluster.protocols import Adapters, OperatorStore
from sendroute.cluster.queue import AccountQueue
from sendroute.model.account_status import AccountStatus
from sendroute.model.change import AccountPlan, Plan
from sendroute.model.current import Current
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding
from sendroute.model.outcome import Result
from sendroute.model.owner import PLATFORM, Owner
from sendroute.planner.guards import Guards
from sendroute.reconcile.assessment import AccountStatuses, Assessment
from sendroute.reconcile.deferral import plan_without
from sendroute.reconcile.reconciler import Planned
from sendroute.reconcile.rounds import (
    CountingRecord,
    commit_round,
    drifted,
    left_open,
    recorded,
    request_for,
    round_reconciler,
)
from sendroute.reconcile.verifier import failure_code
from sendroute.runtime.schedule import DueAccounts, RoundState, states_of
from sendroute.runtime.stop import Stop


class OperatorRoundOptions(NamedTuple):
    """What a round needs besides its inputs and adapters."""

    guards: Guards
    actor: str
    stop: Stop


class RoundInputs(NamedTuple):
    """``owners`` are the accounts of the round that have settled; None for all of them.
    ``unchanged`` are those whose objects are as this process reconciled them last: what a round
    changes of these had drifted. ``is_read`` says whether a namespace is known, ``unread`` says
    why something is not. ``keeps_platform``: the change of the platform must wait until it is
    due. ``refused`` are accounts that stay as they are, each with why."""

    state: DesiredState
    queue: AccountQueue
    due: DueAccounts
    owners: frozenset[Owner] | None
    unchanged: Set[Owner]
    is_read: Callable[[str], bool]
    unread: tuple[Finding, ...]
    keeps_platform: bool
    refused: Mapping[AccountKey, Finding]


class OperatorRoundResult(Struct, frozen=True):
    """A completed round. ``reconciled`` are the accounts that were committed or had nothing to
    commit, ``waiting`` those that wait for other objects, with the reason and the plan. ``before``
    are the account statuses before, ``drifted`` counts the changes that repaired drift,
    ``recorded`` are the sentences about what stays as another process left it, ``edited`` are the
    owners whose objects had changed, ``kept_platform`` is true if the platform was not decided,
    ``tested`` are the profiles of each account whose connection
    test passed."""

    result: Result
    assessment: Assessment
    before: AccountStatuses
    current: Current
    reconciled: frozenset[Owner]
    waiting: Mapping[AccountKey, tuple[str, AccountPlan]]
    drifted: Mapping[AccountKey, int]
    recorded: Mapping[AccountKey, Sequence[str]]
    edited: Set[Owner]
    kept_platform: bool
    tested: Mapping[AccountKey, frozenset[str]]

    @property
    def states(self) -> dict[Owner, RoundState]:
        """The state of each reconciled account."""
        return states_of(self.result, self.assessment)

    @property
    def voided_approvals(self) -> tuple[AccountStatus, ...]:
        """The approvals that no longer hold."""
        return self.assessment.voided_approvals


class Round:
    """Call :meth:`run` once."""

    def __init__(
        self,
        store: OperatorStore,
        inputs: RoundInputs,
        adapters: Adapters,
        options: OperatorRoundOptions,
    ) -> None:
        self._store = store
        self._inputs = inputs
        self._adapters = adapters
        self._options = options
        self._waiting: dict[AccountKey, tuple[str, AccountPlan]] = {}

    def run(self) -> OperatorRoundResult:
        """Plan and commit.

        Raises:
            ProblemError: the store, a key or the secrets are unavailable.
        """
        state, owners = self._inputs.state, self._inputs.owners
        state.compile(state.uncompiled if owners is None else owners)
        inputs = self._inputs
        tree = state.tree(self._store.accounts(), inputs.is_read, inputs.unread, inputs.refused)
        statuses = self._approved_statuses()
        record = CountingRecord(self._store, self._is_left_alone)
        adapters, options = self._adapters, self._options
        reconciler = round_reconciler(record, adapters.verifier_for, adapters.tester, options.stop)
        planned, deferred = plan_without(
            reconciler,
            tree,
            owners,
            partial(
                request_for,
                statuses=statuses,
                guards=options.guards,
                keeps_platform=inputs.keeps_platform,
            ),
            self._early,
        )
        planned, _ = reconciler.confirmed(planned)  # no lock file belongs to objects
        result, assessment = commit_round(
            reconciler, record, planned, statuses, options.actor, options.stop
        )
        edited: set[Owner] = {PLATFORM, *(account.key for account in result.accounts)}
        edited -= self._inputs.unchanged
        explained = edited | left_open(statuses)
        reconciled = {account.key for account in result.accounts} | (owners or frozenset())
        if owners is None:
            reconciled |= {*state.mentioned, PLATFORM}
        return OperatorRoundResult(
            result,
            assessment,
            statuses,
            planned.current,
            frozenset(reconciled - deferred),
            self._waiting,
            drifted(result, explained),
            recorded(result, explained),
            edited,
            planned.scope.keeps_platform,
            _tested(planned),
        )

    def _approved_statuses(self) -> AccountStatuses:
        """The account statuses, with the approvals that annotations give."""
        statuses = self._store.account_statuses()
        annotated = self._inputs.state.annotated
        if annotated and self._adapters.reporter.approve(self._store, annotated, statuses):
            return self._store.account_statuses()
        return statuses

    def _is_left_alone(self, owner: Owner) -> bool:
        return owner is not PLATFORM and not self._inputs.is_read(owner.namespace)

    def _early(self, plan: Plan) -> set[Owner]:
        """The accounts of a plan that must wait."""
        queue, now = self._inputs.queue, time.monotonic()
        early: set[Owner] = set()
        for account in plan.accounts:
            if not queue.is_settled(account.key, now):
                early.add(account.key)
            elif (reason := queue.defer(account.key, now, account)) is not None:
                early.add(account.key)
                if queue.waits_for_object(account.key):
                    self._waiting[account.key] = (reason, account)
        return early


def _tested(planned: Planned) -> dict[AccountKey, frozenset[str]]:
    """By account, the profiles whose connection test passed."""
    passed: dict[AccountKey, frozenset[str]] = {}
    for request, result in planned.verified.tests.items():
        if failure_code(result) is None:
            passed[request.account] = passed.get(request.account, frozenset()) | {request.name}
    return passed
