"""Plan what is due without the accounts that must wait, because not everything of their change may
have arrived: objects of a cluster and files of a directory are written one by one."""

from collections.abc import Callable, Collection, Set

from msgspec.structs import replace

from sendroute.model.change import AccountChange, AccountPlan, Action, DomainChange, Plan
from sendroute.model.owner import PLATFORM, Owner
from sendroute.model.route import Origin
from sendroute.reconcile.reconciler import DesiredTree, Planned, PlanRequest, Reconciler

RequestFor = Callable[[Collection[Owner] | None], PlanRequest]


def plan_without(
    reconciler: Reconciler,
    tree: DesiredTree,
    due: Collection[Owner] | None,
    request_for: RequestFor,
    must_wait: Callable[[Plan], Set[Owner]],
) -> tuple[Planned, frozenset[Owner]]:
    """Plan what is due, without what must wait. The first plan adds the accounts that exchange
    domains with it. If one of these must wait, the domain does not move yet. If the platform must
    wait, accounts are planned with the one in the store.

    Args:
        reconciler: plans.
        tree: what is declared.
        due: the accounts that are due; None for all of them.
        request_for: the request of a plan for some accounts, or for all.
        must_wait: finds the accounts of a plan that must wait.

    Returns:
        The plan, and the accounts that were left out.

    Raises:
        ProblemError: the store, a key or the secrets are unavailable.
    """
    waiting: frozenset[Owner] = frozenset()
    sound: frozenset[Owner] | None = None
    while True:
        request = request_for(due)
        if waiting:  # they are outside, so nothing moves from or to them
            keeps = request.keeps_platform or PLATFORM in waiting
            request = replace(request, linked=False, keeps_platform=keeps)
        planned = reconciler.plan(tree, request)
        early = must_wait(planned.plan)
        stopped = {account.key for account in planned.plan.accounts if account.stopped}
        if sound is None:
            sound = frozenset(account.key for account in planned.plan.accounts) - stopped
        elif PLATFORM in waiting:  # what only the new platform allows waits with it
            early |= stopped & sound
        if not early:
            return planned, waiting
        waiting |= early
        if due is None:
            due = {PLATFORM, *(account.key for account in planned.plan.accounts)}
        due = set(due) - early


def is_destructive(plan: AccountPlan) -> bool:
    """Decide whether another plan cannot undo this one: it stamps a new domain by the default, runs
    an apply-all, removes or reassigns; or a domain changes that does not take its route from its
    manifest alone, so that the manifest as it was would not give that route again.

    Args:
        plan: what would be done with one account.

    Returns:
        Whether it must wait until everything of the change has arrived.
    """
    if plan.stopped:
        return False
    for change in plan.changes:
        if change.action in (Action.DELETE, Action.REASSIGN):
            return True
        if isinstance(change, AccountChange) and change.completed is not None:
            return True
        if isinstance(change, DomainChange) and not _is_given_back(change):
            return True
    return False


def _is_given_back(change: DomainChange) -> bool:
    """Whether the manifest as it was before gives back what was before."""
    if change.action is Action.SKIP:
        return True
    state = change.before if change.before is not None else change.written
    return state.origin is Origin.DECLARED and state.shadow is None
