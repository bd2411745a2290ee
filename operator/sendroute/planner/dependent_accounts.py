"""The accounts of a plan that depend on each other: what stops one may change the plan of another.

Errors come first, then removals from an incomplete tree, then guards; so the order of accounts
never matters. A domain or a profile moves only if both its accounts change: if one is stopped, or
does not accept what moves, the other is planned again. Each repetition only adds to what is
blocked, so it ends.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property

from msgspec import Struct, structs

from sendroute.model.ancestry import Ancestry
from sendroute.model.change import (
    AccountChange,
    AccountPlan,
    Action,
    DomainCounts,
    ProfileChange,
)
from sendroute.model.codes import finding
from sendroute.model.current import Current, CurrentAccount
from sendroute.model.desired import AccountKey, Desired, DesiredAccount
from sendroute.model.finding import Finding, Severity
from sendroute.model.internal_error import is_internal, planning_error
from sendroute.model.owner import Owner
from sendroute.model.platform import Platform
from sendroute.model.secret import Resave
from sendroute.planner.account import plan_account, suspended_object
from sendroute.planner.claims import DomainConflicts
from sendroute.planner.digest import digest
from sendroute.planner.guards import (
    ChangeSize,
    Guards,
    HeldChanges,
    Pending,
    check_guards,
    count_domains,
    total,
    whole_sizes,
)
from sendroute.planner.inputs import AccountInput
from sendroute.planner.moves import Move
from sendroute.planner.no_longer_sending import moved_domains, report_no_longer_sending
from sendroute.planner.older_tree import check_older_tree
from sendroute.planner.removals import (
    KnownAccounts,
    keep_account,
    maybe_unread,
    not_empty,
    remove_account,
    unknown_account,
)
from sendroute.planner.stopped import at_problems, check_stopped, stopped_by_file

Groups = tuple[tuple[AccountKey, ...], ...]
"""Accounts between which a domain or a profile moves: each group is committed in one
transaction."""


class PlanContext(Struct, frozen=True):
    """What the plan of an account depends on besides its manifests and its state in the store.

    ``domain_count`` is the number of domains in the store, ``pending`` what the guards count of the
    accounts outside the plan; ``held`` are the changes that were held back before.
    """

    desired: Desired
    current: Current
    platform: Platform
    conflicts: DomainConflicts
    failed: Mapping[Owner, Mapping[str, str]]
    rotated: Mapping[Owner, Mapping[str, Resave]]
    guards: Guards
    domain_count: int
    pending: Pending
    held: HeldChanges
    ancestry: Ancestry | None
    known_accounts: KnownAccounts


class Blocked(Struct, frozen=True):
    """``accounts`` are not changed; ``moves`` are not accepted by their claimant."""

    accounts: frozenset[AccountKey]
    moves: frozenset[Move] = frozenset()

    def stops(self, move: Move) -> bool:
        return not self.accounts.isdisjoint((move.holder, move.claimant)) or move in self.moves


def plan_dependent_accounts(
    context: PlanContext, chosen: Collection[AccountKey]
) -> tuple[dict[AccountKey, AccountPlan], Groups]:
    """Plan accounts that depend on each other.

    The size of the whole change is what the manifests would do once all errors are known; it stays
    the same whatever the guards hold back.

    Args:
        context: what the plans depend on.
        chosen: the accounts.

    Returns:
        The plan of each account, and the groups of accounts between which a domain or a profile
        moves.
    """
    blocked = Blocked(_unchanged_accounts(context, chosen))
    plans = {key: _account_plan(context, key, blocked) for key in chosen}
    counts: dict[AccountKey, DomainCounts] | None = None
    while True:
        blocked, plans = _settled(context, blocked, plans)
        if held_back := _held_back(context, plans):
            plans |= held_back
            continue
        if counts is None:
            counts = _counts(context, plans)
            sizes = _WholeSizes(context, counts)
        if guarded := _stopped_by_guards(context, plans, blocked, sizes):
            plans |= guarded
            continue
        reported = _with_silenced(context, plans)
        counted = {key: _with_counts(plan, counts.get(key)) for key, plan in reported.items()}
        return counted, _groups(context.conflicts.all_moves(), blocked)


def _with_silenced(
    context: PlanContext, plans: Mapping[AccountKey, AccountPlan]
) -> dict[AccountKey, AccountPlan]:
    """The plans, with a warning for domains that could send and cannot any more. It needs the final
    plans, because a domain may move between them."""
    moved = moved_domains(plans.values())
    reported = dict(plans)
    for key, plan in plans.items():
        if findings := report_no_longer_sending(plan, context.desired.accounts, moved):
            reported[key] = structs.replace(plan, findings=(*plan.findings, *findings))
    return reported


def _settled(
    context: PlanContext, blocked: Blocked, plans: Mapping[AccountKey, AccountPlan]
) -> tuple[Blocked, dict[AccountKey, AccountPlan]]:
    """Block the moves of stopped accounts, and those that are not accepted, and plan the accounts
    at their other ends again, until nothing changes."""
    settled = dict(plans)
    while True:
        stopped = blocked.accounts | {key for key, plan in settled.items() if plan.stopped}
        moves = blocked.moves | _moves_not_accepted(context, settled, blocked)
        if (stopped, moves) == (blocked.accounts, blocked.moves):
            return blocked, settled
        affected = context.conflicts.involving(stopped - blocked.accounts)
        affected |= {move.holder for move in moves - blocked.moves}
        blocked = Blocked(stopped, moves)
        for key in affected & settled.keys() - stopped:
            settled[key] = _account_plan(context, key, blocked)


def _counts(
    context: PlanContext, plans: Mapping[AccountKey, AccountPlan]
) -> dict[AccountKey, DomainCounts]:
    """What the guards count, by account; without accounts of which they count nothing."""
    counts = {}
    for key, plan in plans.items():
        if plan.changes and not plan.stopped:
            count = count_domains(plan, context.desired.accounts.get(key), context.guards)
            if count.removed or count.rerouted:
                counts[key] = count
    return counts


class _WholeSizes:
    """What the manifests would do to the whole store, by each measure. The size is the same for
    the accounts of one namespace."""

    def __init__(self, context: PlanContext, counts: Pending) -> None:
        self._context = context
        self._counted = {**counts, **context.pending}
        self._sizes: dict[str | None, tuple[ChangeSize, ...]] = {}

    def of(self, key: AccountKey) -> tuple[ChangeSize, ...]:
        left_out = self._left_out(key.namespace) if self._context.guards.tenants else None
        if left_out not in self._sizes:
            context = self._context
            counted = {k: count for k, count in self._counted.items() if k.namespace != left_out}
            held = dict.fromkeys(context.held[k] for k in sorted(counted) if k in context.held)
            self._sizes[left_out] = whole_sizes(context.domain_count, total(counted.values()), held)
        return self._sizes[left_out]

    def _left_out(self, namespace: str) -> str | None:
        """The other namespace that would lose, or reroute, most."""
        return next((name for name in self._largest_first if name != namespace), None)

    @cached_property
    def _largest_first(self) -> list[str]:
        sizes: Counter[str] = Counter()
        for key, count in sorted(self._counted.items()):
            sizes[key.namespace] += count.removed + count.rerouted
        return [name for name, _ in sizes.most_common()]


def _with_counts(plan: AccountPlan, counts: DomainCounts | None) -> AccountPlan:
    return plan if counts is None else structs.replace(plan, counts=counts)


def _stopped_by_guards(
    context: PlanContext,
    plans: Mapping[AccountKey, AccountPlan],
    blocked: Blocked,
    sizes: _WholeSizes,
) -> dict[AccountKey, AccountPlan]:
    """The plans that a guard stops. An approved plan waits too, while an account of the same tenant
    without which its moves cannot happen is stopped: both are one transaction, and the approved
    plan includes the move."""
    stopped: dict[AccountKey, AccountPlan] = {}
    approved: dict[AccountKey, AccountPlan] = {}
    for key, plan in plans.items():
        if key in blocked.accounts:
            continue
        checked = _check_guards(context, plan, sizes.of(key))
        if checked.stopped:
            is_approved = context.guards.lets_through(key, digest(plan))
            (approved if is_approved else stopped)[key] = checked
    if stopped and approved:
        waiting = _dependent_on(stopped, context.conflicts.all_moves(), blocked)
        stopped |= {key: plan for key, plan in approved.items() if key in waiting}
    return stopped


def _dependent_on(
    stopped: Iterable[AccountKey], moves: Iterable[Move], blocked: Blocked
) -> set[AccountKey]:
    """These accounts, and all with a move within their tenant that depends on one of them. The
    account that takes a profile does not need the other one."""
    links = []
    for move in moves:
        if move.is_within_tenant and not blocked.stops(move):
            links.append((move.claimant, move.holder))
            if not move.is_profile:
                links.append((move.holder, move.claimant))
    dependent = set(stopped)
    while added := {other for key, other in links if key in dependent} - dependent:
        dependent |= added
    return dependent


def _moves_not_accepted(
    context: PlanContext, plans: Mapping[AccountKey, AccountPlan], blocked: Blocked
) -> frozenset[Move]:
    """Moves to an account that changes but does not create what moves: the domain waits for a
    profile that was not saved, or the profile is not saved, or it is suspended."""
    moves = [move for move in context.conflicts.all_moves() if not blocked.stops(move)]
    created = {
        (key, isinstance(change, ProfileChange), change.name)
        for key in {move.claimant for move in moves}
        for change in plans[key].changes
        if change.action is Action.CREATE and not isinstance(change, AccountChange)
    }
    return frozenset(
        move for move in moves if (move.claimant, move.is_profile, move.name) not in created
    )


def _unchanged_accounts(
    context: PlanContext, chosen: Iterable[AccountKey]
) -> frozenset[AccountKey]:
    """Accounts that do not change, whatever their plan would be: suspended and stopped accounts,
    and accounts outside the plan that are the holder or the claimant in a move."""
    desired, planned = context.desired, frozenset(chosen)
    accounts = ((key, desired.accounts.get(key)) for key in planned)
    suspended = {key for key, account in accounts if account is not None and account.suspended}
    outside = context.conflicts.moves.keys() - planned
    return frozenset(outside | suspended | (desired.stopped & planned))


def _account_plan(context: PlanContext, key: AccountKey, blocked: Blocked) -> AccountPlan:
    """The plan of an account. A bug that its objects reach stops it, and no other account."""
    desired = context.desired.accounts.get(key)
    current = context.current.account(key)
    try:
        return _decided(context, desired, current, blocked)
    except BaseException as error:
        if not is_internal(error):
            raise
        problem = planning_error(key, error, desired.where if desired is not None else None)
        return AccountPlan(key, current.revision, (), (problem,), stopped=True)


def _decided(
    context: PlanContext, desired: DesiredAccount | None, current: CurrentAccount, blocked: Blocked
) -> AccountPlan:
    key = current.key
    if key in context.desired.stopped:
        return _stopped(context, desired, current)
    if desired is None:
        return _undefined(context, current, blocked)
    if desired.remove is not None:
        return _removed(context, desired, current, blocked)
    if desired.suspended:
        reported = suspended_object(f"Account {key}", desired.where, key)
        return AccountPlan(key, current.revision, (), (reported,))
    return _defined(context, desired, current, blocked)


def _stopped(
    context: PlanContext, desired: DesiredAccount | None, current: CurrentAccount
) -> AccountPlan:
    findings: tuple[Finding, ...] = ()
    if (problem := context.desired.ill_formed.get(current.key)) is not None:
        findings = (stopped_by_file(current.key, problem),)
    if desired is not None:
        findings += check_stopped(desired, current, context.platform)
    return AccountPlan(current.key, current.revision, (), findings, stopped=True)


def _undefined(context: PlanContext, current: CurrentAccount, blocked: Blocked) -> AccountPlan:
    orphans = context.desired.orphans.get(current.key)
    if orphans and current.state is None:
        return unknown_account(current.key, orphans, context.known_accounts)
    if orphans and not context.desired.complete:
        return maybe_unread(current, context.desired.unread)
    if orphans:
        return not_empty(current, orphans)
    return _removed(context, None, current, blocked)


def _removed(
    context: PlanContext, desired: DesiredAccount | None, current: CurrentAccount, blocked: Blocked
) -> AccountPlan:
    """Step 6 for an account as a whole. One that was removed already has no state."""
    if current.state is None:
        return AccountPlan(current.key, current.revision, ())
    claims = context.conflicts.claims_of(current.key, blocked.accounts, blocked.moves)
    # One that is to be removed goes with its profiles, also those that others declare.
    is_to_go = desired is not None and desired.remove is not None
    if claims.retained or (claims.unmoved_profiles and not is_to_go):
        return keep_account(current, claims, desired)
    return remove_account(current, claims, desired)


def _defined(
    context: PlanContext, desired: DesiredAccount, current: CurrentAccount, blocked: Blocked
) -> AccountPlan:
    plan = context.platform.plan(desired.plan)
    if plan is None:
        return _stopped(context, desired, current)
    claims = context.conflicts.claims_of(desired.key, blocked.accounts, blocked.moves)
    failed = context.failed.get(desired.key, {})
    rotated = context.rotated.get(desired.key, {})
    return plan_account(AccountInput(desired, current, plan, claims, failed, rotated))


def _held_back(
    context: PlanContext, plans: Mapping[AccountKey, AccountPlan]
) -> dict[AccountKey, AccountPlan]:
    """The plans that would remove anything although a part of the tree is unreadable: what seems to
    be absent may only be unreadable."""
    if context.desired.complete:
        return {}
    removals = {
        key: sum(change.action is Action.DELETE for change in plan.changes)
        for key, plan in plans.items()
        if not plan.stopped
    }
    unread = context.desired.unread
    return {
        key: _unchanged(plans[key], number, unread) for key, number in removals.items() if number
    }


def _unchanged(plan: AccountPlan, removals: int, unread: Sequence[Finding]) -> AccountPlan:
    problem = finding(
        "held-back",
        f"Account {plan.key} is unchanged: part of the tree is unreadable, and"
        f" {removals} object{' would' if removals == 1 else 's would'} be removed.",
        hint="Fix the unreadable part: it may declare the objects that seem to be missing.",
        account=plan.key,
    )
    # The others say what the change would do, and it does nothing.
    retained = (
        item for item in plan.findings if item.severity in (Severity.ERROR, Severity.REFUSED)
    )
    findings = (*retained, at_problems(problem, unread))
    return structs.replace(plan, changes=(), findings=findings, shadowed=(), stopped=True)


def _check_guards(
    context: PlanContext, plan: AccountPlan, sizes: tuple[ChangeSize, ...]
) -> AccountPlan:
    desired = context.desired.accounts.get(plan.key)
    if not plan.changes:
        return plan
    where = desired.where if desired is not None else None
    domain_count = len(context.current.account(plan.key).domains)
    checked = check_guards(plan, desired, domain_count, sizes, context.guards)
    refusals = (
        *checked.findings,
        *check_older_tree(plan.key, plan.changes, context.ancestry, context.guards, where),
    )
    if not refusals:
        return plan
    whole = checked.whole and context.held.get(plan.key, checked.whole)
    return structs.replace(plan, findings=(*plan.findings, *refusals), stopped=True, whole=whole)


def _groups(moves: Iterable[Move], blocked: Blocked) -> Groups:
    """The accounts between which a domain or a profile moves, unless the move is blocked."""
    group_of: dict[AccountKey, set[AccountKey]] = {}
    for move in moves:
        if blocked.stops(move):
            continue
        merged = {
            *group_of.get(move.holder, {move.holder}),
            *group_of.get(move.claimant, {move.claimant}),
        }
        for key in merged:
            group_of[key] = merged
    return tuple(sorted({tuple(sorted(group)) for group in group_of.values()}))
