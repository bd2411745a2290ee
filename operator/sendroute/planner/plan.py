"""The plan of a whole tree: which accounts are planned at all, each one's plan, what moves between
them, and what holds an account back."""

from collections.abc import Iterable, Mapping

from msgspec import Struct, structs

from sendroute.model.change import PLATFORM_KEY, AccountPlan, Action, Plan
from sendroute.model.codes import finding
from sendroute.model.finding import Finding
from sendroute.model.held import Held, HeldAccount
from sendroute.model.platform import Platform
from sendroute.model.wanted import AccountKey, Wanted, WantedAccount
from sendroute.planner.account import plan_account, suspended_object
from sendroute.planner.case import Case
from sendroute.planner.claims import Disputes, Move, find_disputes
from sendroute.planner.digest import digest
from sendroute.planner.guards import Guards, check_guards
from sendroute.planner.platform import decide_platform
from sendroute.planner.removals import keep_account, not_empty, remove_account, unknown_account
from sendroute.planner.stopped import check_stopped


class Setting(Struct, frozen=True):
    """All that one account's plan may look at besides its own two sides."""

    wanted: Wanted
    held: Held
    platform: Platform
    disputes: Disputes
    failed: Mapping[AccountKey, Mapping[str, str]]
    rotated: Mapping[AccountKey, frozenset[str]]


class Standstill(Struct, frozen=True):
    """Accounts that are not changed, and moves that their target does not take."""

    idle: frozenset[AccountKey]
    blocked: frozenset[Move] = frozenset()

    def stops(self, move: Move) -> bool:
        return move in self.blocked or move.source in self.idle or move.target in self.idle


def plan_tree(
    wanted: Wanted,
    held: Held,
    *,
    failed: Mapping[AccountKey, Mapping[str, str]] | None = None,
    rotated: Mapping[AccountKey, frozenset[str]] | None = None,
    guards: Guards | None = None,
    only: frozenset[AccountKey] | None = None,
) -> Plan:
    """What applying ``wanted`` to ``held`` changes, and what is to be said about it.

    ``failed`` names, for each account, the profiles that may not be saved (a required connection
    test failed, a secret is not there), each with the code that says why, and ``rotated`` those
    whose secret has another content than when they were saved; under :data:`PLATFORM_KEY` they
    say the same of :data:`RELAY`, the managed relay. ``only`` leaves every other account as it
    is. Without a platform nothing is planned.
    """
    failed, rotated = failed or {}, rotated or {}
    platform, change, told = decide_platform(
        wanted, held, failed.get(PLATFORM_KEY, {}), rotated.get(PLATFORM_KEY, frozenset())
    )
    disputes = find_disputes(wanted.accounts, held.accounts)
    keys = wanted.accounts.keys() | wanted.strays.keys() | wanted.stopped
    keys |= {key for key, account in held.accounts.items() if account.state is not None}
    chosen = sorted(keys if only is None else keys & only)
    groups: tuple[tuple[AccountKey, ...], ...] = ()
    if platform is None:
        plans = _only_told(wanted, held, chosen, disputes)
    else:
        setting = Setting(wanted, held, platform, disputes, failed, rotated)
        plans, still = _settle(setting, chosen, guards or Guards())
        groups = _groups(disputes, still)
    findings = [
        found
        for found in (*wanted.findings, *told)
        if only is None or found.account is None or _key(found) in only
    ]
    return Plan(
        held.lineage,
        held.revision,
        change,
        tuple(_told(plan, wanted, disputes) for _, plan in sorted(plans.items())),
        groups,
        tuple(findings),
    )


def _only_told(
    wanted: Wanted, held: Held, chosen: Iterable[AccountKey], disputes: Disputes
) -> dict[AccountKey, AccountPlan]:
    """Without a platform nothing is planned; what is wrong with references is told all the same."""
    plans = {}
    for key in chosen:
        before, account = _held(held, key), wanted.accounts.get(key)
        if account is not None:
            found = check_stopped(account, before, None)
            plans[key] = AccountPlan(key, before.revision, (), found, stopped=True)
        elif key in wanted.strays and key not in wanted.stopped and before.state is None:
            strays = wanted.strays[key]
            plans[key] = unknown_account(key, strays, frozenset(wanted.accounts))
    return {key: plan for key, plan in plans.items() if plan.findings or key in disputes.findings}


def _told(plan: AccountPlan, wanted: Wanted, disputes: Disputes) -> AccountPlan:
    """A stopped claim is told whatever else becomes of its account; and that what is unknown may
    be in what could not be read."""
    findings = (*plan.findings, *disputes.findings.get(plan.key, ()))
    if not wanted.complete:
        findings = tuple(map(_in_doubt, findings))
    return structs.replace(plan, findings=findings) if findings != plan.findings else plan


def _in_doubt(found: Finding) -> Finding:
    if found.code not in ("unknown-profile", "unknown-account"):
        return found
    return structs.replace(
        found, hint=f"{found.hint} Or mend what could not be read: it may be in there."
    )


def _settle(
    setting: Setting, chosen: list[AccountKey], guards: Guards
) -> tuple[dict[AccountKey, AccountPlan], Standstill]:
    """Every account's plan, and what stands still.

    Where an account is stopped, or does not take a domain, what would move stays, so the accounts
    at the other end are planned again. Errors first, then guards: the order of accounts never
    matters, and each round only adds to what stands still, so it ends.
    """
    still = Standstill(_idle(setting, chosen))
    plans = {key: _plan_one(setting, key, still) for key in chosen}
    while True:
        stopped = still.idle | {key for key, plan in plans.items() if plan.stopped}
        blocked = still.blocked | _not_taken(setting, plans, still)
        if (stopped, blocked) != (still.idle, still.blocked):
            again = setting.disputes.involving(stopped - still.idle)
            again |= {move.source for move in blocked - still.blocked}
            still = Standstill(stopped, blocked)
            for key in again & plans.keys() - stopped:
                plans[key] = _plan_one(setting, key, still)
            continue
        guarded = _guarded(setting, plans, still, guards)
        if not guarded:
            return plans, still
        plans |= guarded


def _guarded(
    setting: Setting,
    plans: Mapping[AccountKey, AccountPlan],
    still: Standstill,
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
        held = _guard(setting, plan, guards)
        if held.stopped:
            passes = guards.lets_through(key, digest(plan))
            (approved if passes else stopped)[key] = held
    for group in _groups(setting.disputes, still):
        if not stopped.keys().isdisjoint(group):
            stopped |= {key: approved[key] for key in group if key in approved}
    return stopped


def _not_taken(
    setting: Setting, plans: Mapping[AccountKey, AccountPlan], still: Standstill
) -> frozenset[Move]:
    """Moves to an account that is changed, but does not create the domain: it waits there for a
    profile that was not saved."""
    moves = [move for move in setting.disputes.moves if not still.stops(move)]
    created = {
        key: {change.name for change in plans[key].changes if change.action is Action.CREATE}
        for key in {move.target for move in moves}
    }
    return frozenset(move for move in moves if move.domain not in created[move.target])


def _idle(setting: Setting, chosen: Iterable[AccountKey]) -> frozenset[AccountKey]:
    """Accounts that are not changed whatever their plan would be."""
    wanted = setting.wanted
    everyone = wanted.accounts.keys() | setting.held.accounts.keys()
    suspended = {key for key, account in wanted.accounts.items() if account.suspended}
    return frozenset((everyone - set(chosen)) | suspended | wanted.stopped)


def _plan_one(setting: Setting, key: AccountKey, still: Standstill) -> AccountPlan:
    wanted = setting.wanted.accounts.get(key)
    held = _held(setting.held, key)
    if key in setting.wanted.stopped:
        return _stopped(setting, wanted, held)
    if wanted is None:
        plan = _undefined(setting, held, still)
    elif wanted.suspended:
        told = suspended_object(f"Account {key.name}", wanted.where, key)
        return AccountPlan(key, held.revision, (), (told,))
    else:
        plan = _defined(setting, wanted, held, still)
    return plan if setting.wanted.complete else _held_back(plan)


def _held(held: Held, key: AccountKey) -> HeldAccount:
    return held.accounts.get(key) or HeldAccount(key, 0, None)


def _stopped(setting: Setting, wanted: WantedAccount | None, held: HeldAccount) -> AccountPlan:
    found: tuple[Finding, ...] = ()
    if wanted is not None:
        found = check_stopped(wanted, held, setting.platform)
    return AccountPlan(held.key, held.revision, (), found, stopped=True)


def _undefined(setting: Setting, held: HeldAccount, still: Standstill) -> AccountPlan:
    strays = setting.wanted.strays.get(held.key)
    if strays and held.state is None:
        return unknown_account(held.key, strays, frozenset(setting.wanted.accounts))
    if strays:
        return not_empty(held, strays)
    claims = setting.disputes.claims_of(held.key, still.idle, still.blocked)
    return keep_account(held, claims) if claims.kept else remove_account(held, claims)


def _defined(
    setting: Setting, wanted: WantedAccount, held: HeldAccount, still: Standstill
) -> AccountPlan:
    plan = setting.platform.plan(wanted.plan)
    if plan is None:
        return _stopped(setting, wanted, held)
    claims = setting.disputes.claims_of(wanted.key, still.idle, still.blocked)
    failed = setting.failed.get(wanted.key, {})
    rotated = setting.rotated.get(wanted.key, frozenset())
    return plan_account(Case(wanted, held, plan, claims, failed, rotated))


def _held_back(plan: AccountPlan) -> AccountPlan:
    """Absence proves nothing while something could not be read: what takes is not planned."""
    taken = [change for change in plan.changes if change.action is Action.DELETE]
    if plan.stopped or not taken:
        return plan
    found = finding(
        "held-back",
        f"Account {plan.key.name} is held back whole: something could not be read, and this"
        f" change would take {len(taken)} object{'s' * (len(taken) > 1)} from it.",
        hint="Mend what could not be read; what is missing there may only be unreadable.",
        account=plan.key,
    )
    return structs.replace(
        plan, changes=(), findings=(*plan.findings, found), shadowed=(), stopped=True
    )


def _guard(setting: Setting, plan: AccountPlan, guards: Guards) -> AccountPlan:
    held = setting.held.accounts.get(plan.key)
    wanted = setting.wanted.accounts.get(plan.key)
    if held is None or not plan.changes:
        return plan
    where = wanted.where if wanted is not None else None
    found = check_guards(plan.key, plan.changes, len(held.domains), guards, where)
    if not found:
        return plan
    return structs.replace(plan, findings=(*plan.findings, *found), stopped=True)


def _groups(disputes: Disputes, still: Standstill) -> tuple[tuple[AccountKey, ...], ...]:
    """Accounts between which a domain moves are committed in one transaction."""
    group_of: dict[AccountKey, set[AccountKey]] = {}
    for move in disputes.moves:
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
