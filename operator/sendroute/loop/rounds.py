"""One round of the loop: choose the tree and the accounts, and reconcile them."""

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from functools import partial
from typing import NamedTuple

from msgspec import Struct

from sendroute.loop.protocols import LoopStore
from sendroute.loop.served_trees import Candidate, ServedTrees, changed
from sendroute.model.change import AccountPlan, Action, Plan, PlatformChange
from sendroute.model.codes import Code
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding
from sendroute.model.outcome import Outcome, Result
from sendroute.model.owner import PLATFORM, Owner
from sendroute.planner.guards import Guards
from sendroute.planner.plan import PlanScope
from sendroute.planner.platform import takes_managed
from sendroute.reconcile.assessment import AccountStatuses, Assessment
from sendroute.reconcile.deferral import is_destructive, plan_without
from sendroute.reconcile.protocols import Tester
from sendroute.reconcile.reconciler import VerifierFor
from sendroute.reconcile.rounds import (
    CountingRecord,
    commit_round,
    drifted,
    left_open,
    recorded,
    request_for,
    round_reconciler,
)
from sendroute.runtime.schedule import DueAccounts, RoundState, states_of
from sendroute.runtime.stop import Stop


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
    counts the changes of each account whose manifests and platform had not changed, ``recorded``
    are the sentences about what stays as another process left it. ``edited`` are the accounts
    whose manifests had changed, and the platform if every one may have. ``kept_platform`` is true
    if the platform was not decided. ``may_settle_older_tree`` is true if the tree is older than
    what was applied, and none of these accounts is held back because of that: whether any other
    account is, only a round over every account shows.
    """

    served: Candidate
    adopted: bool
    due: DueAccounts
    before: AccountStatuses
    result: Result
    assessment: Assessment
    drifted: Mapping[AccountKey, int]
    recorded: Mapping[AccountKey, Sequence[str]]
    edited: Set[Owner]
    kept_platform: bool
    may_settle_older_tree: bool

    @property
    def states(self) -> dict[Owner, RoundState]:
        return states_of(self.result, self.assessment)


class StoreMismatch(Struct, frozen=True):
    """No tree belongs to the store, so nothing was done."""

    findings: tuple[Finding, ...]


def run_round(
    store: LoopStore,
    trees: ServedTrees,
    due: DueAccounts,
    options: RoundOptions,
    *,
    keeps_platform: bool,
) -> RoundResult | StoreMismatch:
    """Reconcile what is due with the newest tree that belongs to the store.

    Args:
        store: the store.
        trees: the trees, at least one.
        due: the accounts to reconcile.
        options: what a round needs besides.
        keeps_platform: the change of the platform must wait until it is due.

    Returns:
        The result of the round, or the mismatch that prevented it.

    Raises:
        ProblemError: the store, a key or the directory of secrets is unavailable.
    """
    if due.accounts is not None and PLATFORM in due.accounts:
        due = DueAccounts(None)  # a change of the platform concerns every account
    with options.stop.interruptible():
        statuses = store.account_statuses()
    mismatch = StoreMismatch(())
    for candidate in trees.candidates():
        edited = _edited(trees, candidate)
        due_now = DueAccounts(None)
        if edited is not None and due.accounts is not None:
            due_now = DueAccounts(due.accounts | edited)
        must_wait = partial(_not_settled, trees, candidate)
        scope = _RoundScope(due_now.accounts, keeps_platform, must_wait)
        done = _reconcile(store, candidate, scope, statuses, options)
        if not isinstance(done, StoreMismatch):
            # Not earlier, because a failed round is repeated, with all changes.
            adopted = trees.adopt(candidate, done.held)
            return _result(candidate, done, statuses, edited, due_now, is_adopted=adopted)
        mismatch = done
        trees.reject(candidate, mismatch.findings)
    return mismatch


class _RoundScope(NamedTuple):
    """``must_wait`` finds the accounts of a plan that must wait."""

    accounts: Collection[Owner] | None
    keeps_platform: bool
    must_wait: Callable[[Plan], frozenset[Owner]]


class _Done(NamedTuple):
    held: frozenset[Owner]
    scope: PlanScope
    result: Result
    assessment: Assessment


def _reconcile(
    store: LoopStore,
    candidate: Candidate,
    scope: _RoundScope,
    statuses: AccountStatuses,
    options: RoundOptions,
) -> _Done | StoreMismatch:
    """Plan, verify and commit one tree, if it belongs to the store."""
    record = CountingRecord(store)
    reconciler = round_reconciler(record, options.verifier_for, options.tester, options.stop)
    request = partial(
        request_for,
        statuses=statuses,
        guards=options.guards,
        keeps_platform=scope.keeps_platform,
    )
    planned, held = plan_without(
        reconciler, candidate.tree, scope.accounts, request, scope.must_wait
    )
    planned, refused = reconciler.confirmed(planned)
    if refused is not None:
        return StoreMismatch(planned.mismatch)
    result, assessment = commit_round(
        reconciler, record, planned, statuses, options.actor, options.stop
    )
    return _Done(held, planned.scope, result, assessment)


def _not_settled(trees: ServedTrees, candidate: Candidate, plan: Plan) -> frozenset[Owner]:
    """What changes in a way that cannot be undone, and may not be whole."""
    destructive: set[Owner] = {
        account.key
        for account in plan.accounts
        if is_destructive(account) or _ends_suspension(trees, account)
    }
    if _platform_waits(trees, plan.platform):
        destructive.add(PLATFORM)
    return frozenset(owner for owner in destructive if not trees.is_settled(candidate, owner))


def _platform_waits(trees: ServedTrees, change: PlatformChange | None) -> bool:
    if change is None or change.before is None:
        return False
    return takes_managed(change) or trees.is_resumed(PLATFORM, is_stored=True)


def _ends_suspension(trees: ServedTrees, account: AccountPlan) -> bool:
    if account.stopped or all(change.action is Action.SKIP for change in account.changes):
        return False
    return trees.is_resumed(account.key, is_stored=account.revision > 0)


def _result(
    candidate: Candidate,
    done: _Done,
    statuses: AccountStatuses,
    edited: Set[Owner] | None,
    due: DueAccounts,
    *,
    is_adopted: bool,
) -> RoundResult:
    if edited is None:
        edited = {PLATFORM, *(outcome.key for outcome in done.result.accounts)}
    explained = edited | left_open(statuses)
    return RoundResult(
        candidate,
        is_adopted,
        due,
        statuses,
        done.result,
        done.assessment,
        drifted(done.result, explained),
        recorded(done.result, explained),
        edited,
        done.scope.keeps_platform,
        _may_settle_older_tree(done.scope, done.result, is_adopted=is_adopted),
    )


def _may_settle_older_tree(scope: PlanScope, result: Result, *, is_adopted: bool) -> bool:
    """Whether this round decided, for some accounts, what was held back because of the tree's age.
    Only a new tree, or a commit, can have changed that."""
    if scope.only is None or scope.ancestry is None or not scope.ancestry.missing:
        return False
    committed = any(outcome.outcome is Outcome.COMMITTED for outcome in result.accounts)
    held_back = any(item.code == Code.OLDER_TREE for item in result.plan.all_findings)
    return (is_adopted or committed) and not held_back


def _edited(trees: ServedTrees, candidate: Candidate) -> Set[Owner] | None:
    """The accounts whose manifests changed since the last good tree, or whose changes were held;
    None for everything, also the platform."""
    if PLATFORM in trees.held:
        return None
    if candidate is trees.last_good:
        return trees.held
    before = trees.last_good.tree.desired if trees.last_good is not None else None
    edited = changed(before, candidate.tree.desired)
    return None if edited is None else edited | trees.held
