"""The plan of some accounts, or of a whole tree: the plan of each account, the moves between
accounts, and why an account is held back."""

from collections.abc import Iterable, Mapping

from msgspec import Struct, structs

from sendroute.model.ancestry import Ancestry
from sendroute.model.change import AccountPlan, Action, DomainCounts, Plan, WholeChange
from sendroute.model.codes import Trait, finding, has_trait
from sendroute.model.current import Current, CurrentAccount
from sendroute.model.desired import AccountKey, Desired, DesiredAccount
from sendroute.model.finding import Finding
from sendroute.model.owner import PLATFORM, Owner
from sendroute.model.platform import Platform
from sendroute.planner.account import plan_account, suspended_object
from sendroute.planner.claims import (
    NO_OTHERS,
    DomainConflicts,
    Move,
    OtherAccounts,
    find_conflicts,
)
from sendroute.planner.digest import digest
from sendroute.planner.guards import (
    ChangeSize,
    Guards,
    check_guards,
    count_domains,
    total,
    whole_sizes,
)
from sendroute.planner.inputs import AccountInput
from sendroute.planner.older_tree import check_older_tree, refuse_platform, report_unknown
from sendroute.planner.platform import decide_platform
from sendroute.planner.removals import keep_account, not_empty, remove_account, unknown_account
from sendroute.planner.stopped import check_stopped

Pending = Mapping[AccountKey, DomainCounts]
"""By account, what the guards count of a change that was planned and not committed."""

NOTHING_PENDING: Pending = {}

HeldChanges = Mapping[AccountKey, WholeChange]
"""By account, the whole change because of whose size the account was held back."""

NOTHING_HELD: HeldChanges = {}


class PlanContext(Struct, frozen=True):
    """What the plan of an account depends on besides its manifests and its state in the store.

    ``domains`` is the number of domains in the store, ``pending`` what the guards count of the
    accounts outside the plan; ``held`` are the changes that were held back before.
    """

    desired: Desired
    current: Current
    platform: Platform
    conflicts: DomainConflicts
    failed: Mapping[Owner, Mapping[str, str]]
    rotated: Mapping[Owner, frozenset[str]]
    guards: Guards
    domains: int
    pending: Pending
    held: HeldChanges
    ancestry: Ancestry | None


class Blocked(Struct, frozen=True):
    """``accounts`` are not changed; ``moves`` are not accepted by their target."""

    accounts: frozenset[AccountKey]
    moves: frozenset[Move] = frozenset()

    def stops(self, move: Move) -> bool:
        return not self.accounts.isdisjoint((move.source, move.target)) or move in self.moves


def plan_accounts(
    desired: Desired,
    current: Current,
    keys: frozenset[AccountKey] | None = None,
    others: OtherAccounts = NO_OTHERS,
    *,
    failed: Mapping[Owner, Mapping[str, str]] | None = None,
    rotated: Mapping[Owner, frozenset[str]] | None = None,
    guards: Guards | None = None,
    pending: Pending = NOTHING_PENDING,
    held: HeldChanges = NOTHING_HELD,
    ancestry: Ancestry | None = None,
) -> Plan:
    """Plan what applying the manifests of some accounts changes. The cost depends only on these
    accounts.

    A move is planned only if both its ends are among the accounts: see
    :func:`sendroute.planner.selection.select`, which adds those at the other end. Without a
    platform nothing is planned.

    Args:
        desired: the manifests. For an account outside ``keys``, only its name is used, for the
            hint "Did you mean …?".
        current: the state of these accounts in the store; other accounts in it are ignored.
        keys: the accounts to plan; None for all. Then ``current`` must be complete.
        others: the claims of all other accounts on the domains of these accounts, and the number of
            their domains.
        failed: by account, the profiles that may not be saved (a required connection test failed,
            or a secret is missing), each with the code that says why; under the platform's key, the
            managed relay in the same way (:mod:`sendroute.model.owner`).
        rotated: by account, the profiles whose secret's content has changed since they were saved.
        guards: the limits of one change; None for the defaults.
        pending: by account, what the guards count of changes that were planned before and not
            committed. Those of accounts outside ``keys`` belong to the same whole change, so this
            plan holds back what a plan of every account would.
        held: by account, the whole change because of whose size it was held back before and not
            applied since.
        ancestry: how the commit of the manifests relates to those that were applied last; None
            outside git.

    Returns:
        The plan of these accounts, and the platform's own change.
    """
    failed, rotated, guards = failed or {}, rotated or {}, guards or Guards()
    platform, change, reported = decide_platform(
        desired, current, failed.get(PLATFORM, {}), rotated.get(PLATFORM, frozenset())
    )
    if (refusal := refuse_platform(change, ancestry, guards)) is not None:
        platform, change, reported = current.platform, None, (*reported, refusal)
    accounts, current_accounts = desired.accounts, current.accounts
    if keys is not None:
        accounts = {key: accounts[key] for key in keys if key in accounts}
        current_accounts = {key: current_accounts[key] for key in keys if key in current_accounts}
    conflicts = find_conflicts(accounts, current_accounts, others)
    chosen = accounts.keys() | {
        key for key, account in current_accounts.items() if account.state is not None
    }
    unsound = desired.orphans.keys() | desired.stopped
    chosen |= unsound if keys is None else keys & unsound
    groups: tuple[tuple[AccountKey, ...], ...] = ()
    if platform is None:
        plans = _references_only(desired, current, sorted(chosen), conflicts)
    else:
        context = PlanContext(
            desired,
            current,
            platform,
            conflicts,
            failed,
            rotated,
            guards,
            others.domains + sum(len(account.domains) for account in current_accounts.values()),
            {
                key: counts
                for key, counts in pending.items()
                if keys is not None and key not in keys
            },
            held,
            ancestry,
        )
        plans, blocked = _plan_all(context, sorted(chosen))
        groups = _groups(conflicts.all_moves(), blocked)
    findings = [
        item
        for item in (
            *desired.findings,
            *reported,
            *report_unknown(plans.values(), ancestry, guards),
        )
        if keys is None or item.account is None or _account_of(item) in keys
    ]
    return Plan(
        current.lineage,
        current.revision,
        change,
        tuple(_with_conflicts(plan, desired, conflicts) for _, plan in sorted(plans.items())),
        groups,
        tuple(findings),
    )


def plan_tree(
    desired: Desired,
    current: Current,
    *,
    failed: Mapping[Owner, Mapping[str, str]] | None = None,
    rotated: Mapping[Owner, frozenset[str]] | None = None,
    guards: Guards | None = None,
    held: HeldChanges = NOTHING_HELD,
) -> Plan:
    """Plan as :func:`plan_accounts` does, from a whole tree and a whole store.

    Args:
        desired: the manifests of every account.
        current: the state of every account in the store.
        failed: as for :func:`plan_accounts`.
        rotated: as for :func:`plan_accounts`.
        guards: as for :func:`plan_accounts`.
        held: as for :func:`plan_accounts`.

    Returns:
        The plan of every account, and the platform's own change.
    """
    return plan_accounts(desired, current, failed=failed, rotated=rotated, guards=guards, held=held)


def _references_only(
    desired: Desired, current: Current, chosen: Iterable[AccountKey], conflicts: DomainConflicts
) -> dict[AccountKey, AccountPlan]:
    """Without a platform nothing is planned, but unknown references are reported."""
    plans = {}
    for key in chosen:
        before, account = _current(current, key), desired.accounts.get(key)
        if account is not None:
            findings = check_stopped(account, before, None)
            plans[key] = AccountPlan(key, before.revision, (), findings, stopped=True)
        elif key in desired.orphans and key not in desired.stopped and before.state is None:
            orphans = desired.orphans[key]
            plans[key] = unknown_account(key, orphans, desired.accounts.keys())
    return {key: plan for key, plan in plans.items() if plan.findings or key in conflicts.findings}


def _with_conflicts(plan: AccountPlan, desired: Desired, conflicts: DomainConflicts) -> AccountPlan:
    """Add the denied claims of the account. If something could not be read, the hint of an unknown
    reference says that its definition may be there."""
    findings = (*plan.findings, *conflicts.findings.get(plan.key, ()))
    if not desired.complete:
        findings = tuple(map(_with_unread_hint, findings))
    return structs.replace(plan, findings=findings) if findings != plan.findings else plan


def _with_unread_hint(item: Finding) -> Finding:
    if not has_trait(item.code, Trait.ABSENCE):
        return item
    return structs.replace(
        item, hint=f"{item.hint} Or fix the unreadable part of the tree, which may define it."
    )


def _plan_all(
    context: PlanContext, chosen: list[AccountKey]
) -> tuple[dict[AccountKey, AccountPlan], Blocked]:
    """Every account's plan, and what is blocked.

    If an account is stopped, or does not accept a domain, the domain does not move, so the account
    at the other end is planned again. Errors come first, then guards, so the order of accounts
    never matters. Each round only adds to what is blocked, so the rounds end.

    The size of the whole change is what the manifests would do once all errors are known; it stays
    the same whatever the guards hold back.
    """
    blocked = Blocked(_unchanged_accounts(context, chosen))
    plans = {key: _account_plan(context, key, blocked) for key in chosen}
    counts: dict[AccountKey, DomainCounts] = {}
    sizes: tuple[ChangeSize, ...] = ()
    while True:
        stopped = blocked.accounts | {key for key, plan in plans.items() if plan.stopped}
        moves = blocked.moves | _moves_not_accepted(context, plans, blocked)
        if (stopped, moves) != (blocked.accounts, blocked.moves):
            affected = context.conflicts.involving(stopped - blocked.accounts)
            affected |= {move.source for move in moves - blocked.moves}
            blocked = Blocked(stopped, moves)
            for key in affected & plans.keys() - stopped:
                plans[key] = _account_plan(context, key, blocked)
            continue
        if not sizes:
            counts = _counts(context, plans)
            sizes = _whole_sizes(context, counts)
        guarded = _stopped_by_guards(context, plans, blocked, sizes)
        if not guarded:
            return {
                key: _with_counts(plan, counts.get(key)) for key, plan in plans.items()
            }, blocked
        plans |= guarded


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


def _whole_sizes(context: PlanContext, counts: Pending) -> tuple[ChangeSize, ...]:
    """What the manifests would do to the whole store, by each measure."""
    counted = {**counts, **context.pending}
    held = dict.fromkeys(context.held[key] for key in sorted(counted) if key in context.held)
    return whole_sizes(context.domains, total(counted.values()), held)


def _with_counts(plan: AccountPlan, counts: DomainCounts | None) -> AccountPlan:
    return plan if counts is None else structs.replace(plan, counts=counts)


def _stopped_by_guards(
    context: PlanContext,
    plans: Mapping[AccountKey, AccountPlan],
    blocked: Blocked,
    sizes: tuple[ChangeSize, ...],
) -> dict[AccountKey, AccountPlan]:
    """The plans that a guard stops. An approved plan waits too, while an account of the same tenant
    with which it exchanges a domain is stopped: both are one transaction, and the approved plan
    includes the move."""
    stopped: dict[AccountKey, AccountPlan] = {}
    approved: dict[AccountKey, AccountPlan] = {}
    for key, plan in plans.items():
        if key in blocked.accounts:
            continue
        checked = _check_guards(context, plan, sizes)
        if checked.stopped:
            is_approved = context.guards.lets_through(key, digest(plan))
            (approved if is_approved else stopped)[key] = checked
    moves = (move for move in context.conflicts.all_moves() if move.is_within_tenant)
    for group in _groups(moves, blocked):
        if not stopped.keys().isdisjoint(group):
            stopped |= {key: approved[key] for key in group if key in approved}
    return stopped


def _moves_not_accepted(
    context: PlanContext, plans: Mapping[AccountKey, AccountPlan], blocked: Blocked
) -> frozenset[Move]:
    """Moves to an account that changes but does not create the domain, because the domain waits
    for a profile that was not saved."""
    moves = [move for move in context.conflicts.all_moves() if not blocked.stops(move)]
    created = {
        key: {change.name for change in plans[key].changes if change.action is Action.CREATE}
        for key in {move.target for move in moves}
    }
    return frozenset(move for move in moves if move.domain not in created[move.target])


def _unchanged_accounts(
    context: PlanContext, chosen: Iterable[AccountKey]
) -> frozenset[AccountKey]:
    """Accounts that do not change, whatever their plan would be: suspended and stopped accounts,
    and accounts outside the plan that are the source or the target of a move."""
    desired, planned = context.desired, frozenset(chosen)
    accounts = ((key, desired.accounts.get(key)) for key in planned)
    suspended = {key for key, account in accounts if account is not None and account.suspended}
    outside = context.conflicts.moves.keys() - planned
    return frozenset(outside | suspended | (desired.stopped & planned))


def _account_plan(context: PlanContext, key: AccountKey, blocked: Blocked) -> AccountPlan:
    desired = context.desired.accounts.get(key)
    current = _current(context.current, key)
    if key in context.desired.stopped:
        return _stopped(context, desired, current)
    if desired is None:
        plan = _undefined(context, current, blocked)
    elif desired.remove is not None:
        plan = _removed(context, desired, current, blocked)
    elif desired.suspended:
        reported = suspended_object(f"Account {key.name}", desired.where, key)
        return AccountPlan(key, current.revision, (), (reported,))
    else:
        plan = _defined(context, desired, current, blocked)
    return plan if context.desired.complete else _hold_back_removals(plan)


def _current(current: Current, key: AccountKey) -> CurrentAccount:
    return current.accounts.get(key) or CurrentAccount(key, 0, None)


def _stopped(
    context: PlanContext, desired: DesiredAccount | None, current: CurrentAccount
) -> AccountPlan:
    findings: tuple[Finding, ...] = ()
    if desired is not None:
        findings = check_stopped(desired, current, context.platform)
    return AccountPlan(current.key, current.revision, (), findings, stopped=True)


def _undefined(context: PlanContext, current: CurrentAccount, blocked: Blocked) -> AccountPlan:
    orphans = context.desired.orphans.get(current.key)
    if orphans and current.state is None:
        return unknown_account(current.key, orphans, context.desired.accounts.keys())
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
    if claims.retained:
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
    rotated = context.rotated.get(desired.key, frozenset())
    return plan_account(AccountInput(desired, current, plan, claims, failed, rotated))


def _hold_back_removals(plan: AccountPlan) -> AccountPlan:
    """While a part of the tree is unreadable, an absent object may only be unreadable, so nothing
    is removed."""
    removals = [change for change in plan.changes if change.action is Action.DELETE]
    if plan.stopped or not removals:
        return plan
    problem = finding(
        "held-back",
        f"Account {plan.key} is unchanged: part of the tree is unreadable, and"
        f" {len(removals)} object{' would' if len(removals) == 1 else 's would'} be removed.",
        hint="Fix the unreadable part: it may declare the objects that seem to be missing.",
        account=plan.key,
    )
    return structs.replace(
        plan, changes=(), findings=(*plan.findings, problem), shadowed=(), stopped=True
    )


def _check_guards(
    context: PlanContext, plan: AccountPlan, sizes: tuple[ChangeSize, ...]
) -> AccountPlan:
    desired = context.desired.accounts.get(plan.key)
    if not plan.changes:
        return plan
    where = desired.where if desired is not None else None
    domains = len(_current(context.current, plan.key).domains)
    checked = check_guards(plan, desired, domains, sizes, context.guards)
    refusals = (
        *checked.findings,
        *check_older_tree(plan.key, plan.changes, context.ancestry, context.guards, where),
    )
    if not refusals:
        return plan
    whole = checked.whole and context.held.get(plan.key, checked.whole)
    return structs.replace(plan, findings=(*plan.findings, *refusals), stopped=True, whole=whole)


def _groups(moves: Iterable[Move], blocked: Blocked) -> tuple[tuple[AccountKey, ...], ...]:
    """Accounts between which a domain moves are committed in one transaction."""
    group_of: dict[AccountKey, set[AccountKey]] = {}
    for move in moves:
        if blocked.stops(move):
            continue
        merged = {
            *group_of.get(move.source, {move.source}),
            *group_of.get(move.target, {move.target}),
        }
        for key in merged:
            group_of[key] = merged
    return tuple(sorted({tuple(sorted(group)) for group in group_of.values()}))


def _account_of(item: Finding) -> AccountKey:
    return AccountKey(item.namespace or "", item.account or "")
