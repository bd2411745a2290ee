"""The plan of some accounts, or of a whole tree: the plan of each account, what moves between them,
and what holds an account back."""

from collections.abc import Iterable, Mapping

from msgspec import Struct, structs

from sendroute.model.change import AccountPlan, Action, Plan
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
    OtherClaims,
    find_conflicts,
    others_at_hand,
)
from sendroute.planner.digest import digest
from sendroute.planner.guards import Guards, check_guards
from sendroute.planner.inputs import AccountInput
from sendroute.planner.platform import decide_platform
from sendroute.planner.removals import keep_account, not_empty, remove_account, unknown_account
from sendroute.planner.stopped import check_stopped


class PlanContext(Struct, frozen=True):
    """All that one account's plan may look at besides its own two sides."""

    desired: Desired
    current: Current
    platform: Platform
    conflicts: DomainConflicts
    failed: Mapping[Owner, Mapping[str, str]]
    rotated: Mapping[Owner, frozenset[str]]


class Blocked(Struct, frozen=True):
    """Accounts that are not changed, and moves that their target does not take."""

    idle: frozenset[AccountKey]
    blocked: frozenset[Move] = frozenset()

    def stops(self, move: Move) -> bool:
        return move in self.blocked or move.source in self.idle or move.target in self.idle


def plan_accounts(
    desired: Desired,
    current: Current,
    keys: frozenset[AccountKey] | None = None,
    others: OtherClaims = NO_OTHERS,
    *,
    failed: Mapping[Owner, Mapping[str, str]] | None = None,
    rotated: Mapping[Owner, frozenset[str]] | None = None,
    guards: Guards | None = None,
) -> Plan:
    """What applying the manifests of some accounts changes, at the cost of these accounts alone.

    A move is planned only if both its ends are among the accounts: see
    :func:`sendroute.planner.selection.select`, which adds those at the other end. Without a
    platform nothing is planned.

    Args:
        desired: the manifests; of an account outside ``keys`` only the name is looked at, for
            the hint "Did you mean …?".
        current: what the store holds of these accounts; others in it are passed over.
        keys: the accounts to plan; None for all, of which then nothing may be missing.
        others: what the accounts outside say of the domains of these.
        failed: by account, the profiles that may not be saved (a required connection test failed,
            a secret is missing), each with the code that says why; of the platform, the managed
            relay in the same way (:mod:`sendroute.model.owner`).
        rotated: by account, the profiles whose secret's content has changed since they were saved.
        guards: the limits of one change.

    Returns:
        The plan of these accounts, and the platform's own change.
    """
    failed, rotated = failed or {}, rotated or {}
    platform, change, reported = decide_platform(
        desired, current, failed.get(PLATFORM, {}), rotated.get(PLATFORM, frozenset())
    )
    accounts, held = desired.accounts, current.accounts
    if keys is not None:
        accounts = {key: accounts[key] for key in keys if key in accounts}
        held = {key: held[key] for key in keys if key in held}
    conflicts = find_conflicts(accounts, held, others)
    chosen = accounts.keys() | {key for key, account in held.items() if account.state is not None}
    unsound = desired.orphans.keys() | desired.stopped
    chosen |= unsound if keys is None else keys & unsound
    groups: tuple[tuple[AccountKey, ...], ...] = ()
    if platform is None:
        plans = _references_only(desired, current, sorted(chosen), conflicts)
    else:
        context = PlanContext(desired, current, platform, conflicts, failed, rotated)
        plans, still = _settle(context, sorted(chosen), guards or Guards())
        groups = _groups(conflicts, still)
    findings = [
        each
        for each in (*desired.findings, *reported)
        if keys is None or each.account is None or _key(each) in keys
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
    only: frozenset[AccountKey] | None = None,
) -> Plan:
    """:func:`plan_accounts` where the whole tree and the whole store are at hand. ``only`` leaves
    every other account as it is."""
    others = NO_OTHERS
    if only is not None:
        others = others_at_hand(desired.accounts, current.accounts, only)
    return plan_accounts(
        desired, current, only, others, failed=failed, rotated=rotated, guards=guards
    )


def _references_only(
    desired: Desired, current: Current, chosen: Iterable[AccountKey], conflicts: DomainConflicts
) -> dict[AccountKey, AccountPlan]:
    """Without a platform nothing is planned, but unknown references are reported."""
    plans = {}
    for key in chosen:
        before, account = _current(current, key), desired.accounts.get(key)
        if account is not None:
            found = check_stopped(account, before, None)
            plans[key] = AccountPlan(key, before.revision, (), found, stopped=True)
        elif key in desired.orphans and key not in desired.stopped and before.state is None:
            orphans = desired.orphans[key]
            plans[key] = unknown_account(key, orphans, desired.accounts.keys())
    return {key: plan for key, plan in plans.items() if plan.findings or key in conflicts.findings}


def _with_conflicts(plan: AccountPlan, desired: Desired, conflicts: DomainConflicts) -> AccountPlan:
    """A denied claim is reported whatever else happens to its account. If something could not be
    read, the hint of an unknown reference says that it may be defined there."""
    findings = (*plan.findings, *conflicts.findings.get(plan.key, ()))
    if not desired.complete:
        findings = tuple(map(_maybe_unread, findings))
    return structs.replace(plan, findings=findings) if findings != plan.findings else plan


def _maybe_unread(found: Finding) -> Finding:
    if not has_trait(found.code, Trait.ABSENCE):
        return found
    return structs.replace(
        found, hint=f"{found.hint} Or fix what could not be read: it may be there."
    )


def _settle(
    context: PlanContext, chosen: list[AccountKey], guards: Guards
) -> tuple[dict[AccountKey, AccountPlan], Blocked]:
    """Every account's plan, and what does not change.

    If an account is stopped, or does not take a domain, what would move stays, so the accounts at
    the other end are planned again. Errors come first, then guards: the order of accounts never
    matters, and each round only adds to what does not change, so it ends.
    """
    still = Blocked(_idle(context, chosen))
    plans = {key: _plan_one(context, key, still) for key in chosen}
    while True:
        stopped = still.idle | {key for key, plan in plans.items() if plan.stopped}
        blocked = still.blocked | _not_taken(context, plans, still)
        if (stopped, blocked) != (still.idle, still.blocked):
            again = context.conflicts.involving(stopped - still.idle)
            again |= {move.source for move in blocked - still.blocked}
            still = Blocked(stopped, blocked)
            for key in again & plans.keys() - stopped:
                plans[key] = _plan_one(context, key, still)
            continue
        guarded = _guarded(context, plans, still, guards)
        if not guarded:
            return plans, still
        plans |= guarded


def _guarded(
    context: PlanContext,
    plans: Mapping[AccountKey, AccountPlan],
    still: Blocked,
    guards: Guards,
) -> dict[AccountKey, AccountPlan]:
    """The plans that a guard stops. One that was approved waits all the same while an account that
    it exchanges a domain with is stopped: they are one transaction, and the plan that was approved
    is the one with the move."""
    stopped: dict[AccountKey, AccountPlan] = {}
    approved: dict[AccountKey, AccountPlan] = {}
    for key, plan in plans.items():
        if key in still.idle:
            continue
        current = _guard(context, plan, guards)
        if current.stopped:
            passes = guards.lets_through(key, digest(plan))
            (approved if passes else stopped)[key] = current
    for group in _groups(context.conflicts, still):
        if not stopped.keys().isdisjoint(group):
            stopped |= {key: approved[key] for key in group if key in approved}
    return stopped


def _not_taken(
    context: PlanContext, plans: Mapping[AccountKey, AccountPlan], still: Blocked
) -> frozenset[Move]:
    """Moves to an account that is changed, but does not create the domain: it waits there for a
    profile that was not saved."""
    moves = [move for move in context.conflicts.all_moves() if not still.stops(move)]
    created = {
        key: {change.name for change in plans[key].changes if change.action is Action.CREATE}
        for key in {move.target for move in moves}
    }
    return frozenset(move for move in moves if move.domain not in created[move.target])


def _idle(context: PlanContext, chosen: Iterable[AccountKey]) -> frozenset[AccountKey]:
    """Accounts that do not change whatever their plan would be: suspended or stopped ones, and
    those outside the plan that a move comes from or leads to."""
    desired, planned = context.desired, frozenset(chosen)
    accounts = ((key, desired.accounts.get(key)) for key in planned)
    suspended = {key for key, account in accounts if account is not None and account.suspended}
    outside = context.conflicts.moves.keys() - planned
    return frozenset(outside | suspended | (desired.stopped & planned))


def _plan_one(context: PlanContext, key: AccountKey, still: Blocked) -> AccountPlan:
    desired = context.desired.accounts.get(key)
    current = _current(context.current, key)
    if key in context.desired.stopped:
        return _stopped(context, desired, current)
    if desired is None:
        plan = _undefined(context, current, still)
    elif desired.suspended:
        reported = suspended_object(f"Account {key.name}", desired.where, key)
        return AccountPlan(key, current.revision, (), (reported,))
    else:
        plan = _defined(context, desired, current, still)
    return plan if context.desired.complete else _held_back(plan)


def _current(current: Current, key: AccountKey) -> CurrentAccount:
    return current.accounts.get(key) or CurrentAccount(key, 0, None)


def _stopped(
    context: PlanContext, desired: DesiredAccount | None, current: CurrentAccount
) -> AccountPlan:
    found: tuple[Finding, ...] = ()
    if desired is not None:
        found = check_stopped(desired, current, context.platform)
    return AccountPlan(current.key, current.revision, (), found, stopped=True)


def _undefined(context: PlanContext, current: CurrentAccount, still: Blocked) -> AccountPlan:
    orphans = context.desired.orphans.get(current.key)
    if orphans and current.state is None:
        return unknown_account(current.key, orphans, context.desired.accounts.keys())
    if orphans:
        return not_empty(current, orphans)
    claims = context.conflicts.claims_of(current.key, still.idle, still.blocked)
    return keep_account(current, claims) if claims.retained else remove_account(current, claims)


def _defined(
    context: PlanContext, desired: DesiredAccount, current: CurrentAccount, still: Blocked
) -> AccountPlan:
    plan = context.platform.plan(desired.plan)
    if plan is None:
        return _stopped(context, desired, current)
    claims = context.conflicts.claims_of(desired.key, still.idle, still.blocked)
    failed = context.failed.get(desired.key, {})
    rotated = context.rotated.get(desired.key, frozenset())
    return plan_account(AccountInput(desired, current, plan, claims, failed, rotated))


def _held_back(plan: AccountPlan) -> AccountPlan:
    """Absence proves nothing while something could not be read: what takes is not planned."""
    taken = [change for change in plan.changes if change.action is Action.DELETE]
    if plan.stopped or not taken:
        return plan
    found = finding(
        "held-back",
        f"Account {plan.key.name} is held back: something could not be read, and this"
        f" change would remove {len(taken)} object{'s' * (len(taken) > 1)} from it.",
        hint="Fix what could not be read: it may declare what seems to be missing.",
        account=plan.key,
    )
    return structs.replace(
        plan, changes=(), findings=(*plan.findings, found), shadowed=(), stopped=True
    )


def _guard(context: PlanContext, plan: AccountPlan, guards: Guards) -> AccountPlan:
    current = context.current.accounts.get(plan.key)
    desired = context.desired.accounts.get(plan.key)
    if current is None or not plan.changes:
        return plan
    where = desired.where if desired is not None else None
    found = check_guards(plan.key, plan.changes, len(current.domains), guards, where)
    if not found:
        return plan
    return structs.replace(plan, findings=(*plan.findings, *found), stopped=True)


def _groups(conflicts: DomainConflicts, still: Blocked) -> tuple[tuple[AccountKey, ...], ...]:
    """Accounts between which a domain moves are committed in one transaction."""
    group_of: dict[AccountKey, set[AccountKey]] = {}
    for move in conflicts.all_moves():
        if still.stops(move):
            continue
        merged = {
            *group_of.get(move.source, {move.source}),
            *group_of.get(move.target, {move.target}),
        }
        for key in merged:
            group_of[key] = merged
    return tuple(sorted({tuple(sorted(group)) for group in group_of.values()}))


def _key(found: Finding) -> AccountKey:
    return AccountKey(found.namespace or "", found.account or "")
