"""The plan of some accounts, or of a whole tree."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from msgspec import Struct, structs

from sendroute.model.ancestry import Ancestry
from sendroute.model.change import AccountPlan, DomainChange, Plan
from sendroute.model.codes import Trait, has_trait
from sendroute.model.current import Current, CurrentAccount
from sendroute.model.desired import AccountKey, Desired, DesiredAccount
from sendroute.model.finding import Finding
from sendroute.model.owner import PLATFORM, Owner
from sendroute.model.route import MANAGED
from sendroute.model.secret import Resave
from sendroute.planner.claim_index import NO_OTHERS, OtherAccounts
from sendroute.planner.claims import DomainConflicts, find_conflicts
from sendroute.planner.dependent_accounts import Groups, PlanContext, plan_dependent_accounts
from sendroute.planner.guards import (
    NOTHING_HELD,
    NOTHING_PENDING,
    Guards,
    HeldChanges,
    Pending,
)
from sendroute.planner.older_tree import refuse_platform, report_unknown
from sendroute.planner.platform import PlatformDecision, decide_platform, keep_relay, loses_relay
from sendroute.planner.removals import KnownAccounts, unknown_account
from sendroute.planner.stopped import check_stopped, stopped_by_file

_T = TypeVar("_T")


class PlanScope(Struct, frozen=True):
    """The accounts of a plan, and what else decides it besides their manifests and the store.

    ``guards`` are the limits of one change. ``only`` are the accounts to plan; None for all.
    ``others`` are the claims of all other accounts on their domains, and the number of the others'
    domains. ``pending`` is, by account, what the guards count of changes that were planned before
    and not committed: those of accounts outside ``only`` belong to the same whole change, so a plan
    holds back what a plan of every account would. ``held`` is, by account, the whole change because
    of whose size it was held back before and not applied since. ``ancestry`` is how the commit of
    the manifests relates to those that were applied last; None outside git. ``keeps_platform``: the
    change of the platform must wait, so the plan is on the platform in the store, if there is one.
    """

    guards: Guards = Guards()
    only: frozenset[AccountKey] | None = None
    others: OtherAccounts = NO_OTHERS
    pending: Pending = NOTHING_PENDING
    held: HeldChanges = NOTHING_HELD
    ancestry: Ancestry | None = None
    keeps_platform: bool = False


EVERYTHING = PlanScope()
"""Every account, with the default limits."""


def plan_accounts(
    desired: Desired,
    current: Current,
    scope: PlanScope = EVERYTHING,
    *,
    failed: Mapping[Owner, Mapping[str, str]] | None = None,
    rotated: Mapping[Owner, Mapping[str, Resave]] | None = None,
) -> Plan:
    """Plan what applying the manifests of some accounts changes. The cost depends only on these
    accounts.

    A move is planned only if both its ends are among the accounts: see
    :func:`sendroute.planner.selection.select`, which adds those at the other end. Without a
    platform nothing is planned.

    Args:
        desired: the manifests. For an account outside the scope, only its name is used, for the
            hint "Did you mean …?".
        current: the state of these accounts in the store, and of all if the scope has all; other
            accounts in it are ignored.
        scope: the accounts to plan, and what the plan must know besides.
        failed: by account, the profiles that may not be saved (a required connection test failed,
            or a secret is missing), each with the code that says why; under the platform's key, the
            managed relay in the same way (:mod:`sendroute.model.owner`).
        rotated: by account, the profiles whose credential is saved again, each with why: its
            secret has other content, or the store has none that can be used.

    Returns:
        The plan of these accounts, and the platform's own change.
    """
    failed, rotated, only = failed or {}, rotated or {}, scope.only
    relay_failed, relay_rotated = failed.get(PLATFORM, {}), rotated.get(PLATFORM, {})
    decided = decide_platform(desired, current, relay_failed, relay_rotated)
    refusal = refuse_platform(decided.change, scope.ancestry, scope.guards)
    decided = _platform(decided, current, refusal, keeps=scope.keeps_platform)

    accounts, stored = _among(desired.accounts, only), _among(current.accounts, only)
    conflicts = find_conflicts(_among(desired.claiming, only), stored, scope.others)
    chosen = _chosen(desired, accounts, stored, only)
    groups: Groups = ()
    if decided.platform is None:
        plans = _references_only(desired, current, chosen, conflicts)
    else:
        context = PlanContext(
            desired=desired,
            current=current,
            platform=decided.platform,
            conflicts=conflicts,
            failed=failed,
            rotated=rotated,
            guards=scope.guards,
            domain_count=scope.others.domain_count
            + sum(len(account.domains) for account in stored.values()),
            pending={} if only is None else _without(scope.pending, only),
            held=scope.held,
            ancestry=scope.ancestry,
            known_accounts=KnownAccounts(desired),
        )
        plans, groups = plan_dependent_accounts(context, chosen)
    if loses_relay(decided.change):
        users = scope.others.on_managed | frozenset(_on_managed(stored, plans))
        if users:
            decided = keep_relay(desired, current, relay_failed, relay_rotated, users)

    general = (
        *desired.findings,
        *decided.findings,
        *report_unknown(plans.values(), scope.ancestry, scope.guards),
    )
    return Plan(
        current.lineage,
        current.revision,
        decided.change,
        tuple(_with_conflicts(plan, desired, conflicts) for _, plan in sorted(plans.items())),
        groups,
        tuple(item for item in general if _concerns(item, only)),
    )


def plan_tree(
    desired: Desired,
    current: Current,
    *,
    failed: Mapping[Owner, Mapping[str, str]] | None = None,
    rotated: Mapping[Owner, Mapping[str, Resave]] | None = None,
    guards: Guards | None = None,
    held: HeldChanges = NOTHING_HELD,
) -> Plan:
    """Plan as :func:`plan_accounts` does, from a whole tree and a whole store.

    Args:
        desired: the manifests of every account.
        current: the state of every account in the store.
        failed: as for :func:`plan_accounts`.
        rotated: as for :func:`plan_accounts`.
        guards: as for :class:`PlanScope`; None for the default limits.
        held: as for :class:`PlanScope`.

    Returns:
        The plan of every account, and the platform's own change.
    """
    scope = PlanScope(guards or Guards(), held=held)
    return plan_accounts(desired, current, scope, failed=failed, rotated=rotated)


def _on_managed(
    stored: Mapping[AccountKey, CurrentAccount], plans: Mapping[AccountKey, AccountPlan]
) -> Iterator[AccountKey]:
    """The accounts that hold a domain that is sent through the managed relay after the plan."""
    for key, account in stored.items():
        names = {name for name, state in account.domains.items() if state.route == MANAGED}
        plan = plans.get(key)
        if plan is not None and not plan.stopped:
            names -= {
                change.name
                for change in plan.changes
                if isinstance(change, DomainChange)
                and (change.after is None or change.after.route != MANAGED)
            }
        if names:
            yield key


def _platform(
    decided: PlatformDecision, current: Current, refusal: Finding | None, *, keeps: bool
) -> PlatformDecision:
    """The decision on the platform, unless its change is refused or must wait."""
    if refusal is not None:
        return PlatformDecision(current.platform, None, (*decided.findings, refusal))
    if keeps and decided.change is not None and current.platform is not None:
        return PlatformDecision(current.platform)
    return decided


def _among(
    accounts: Mapping[AccountKey, _T], only: frozenset[AccountKey] | None
) -> Mapping[AccountKey, _T]:
    """The accounts of the plan."""
    return accounts if only is None else {key: accounts[key] for key in only if key in accounts}


def _without(pending: Pending, planned: frozenset[AccountKey]) -> Pending:
    return {key: counts for key, counts in pending.items() if key not in planned}


def _chosen(
    desired: Desired,
    accounts: Mapping[AccountKey, DesiredAccount],
    stored: Mapping[AccountKey, CurrentAccount],
    only: frozenset[AccountKey] | None,
) -> list[AccountKey]:
    """The accounts of which there is anything to plan or to report, in order."""
    unsound = desired.orphans.keys() | desired.stopped
    existing = {key for key, account in stored.items() if account.state is not None}
    return sorted(accounts.keys() | existing | (unsound if only is None else only & unsound))


def _concerns(item: Finding, only: frozenset[AccountKey] | None) -> bool:
    """Whether a finding of the tree belongs to an account of the plan, or to none."""
    return only is None or item.account is None or _account_of(item) in only


def _references_only(
    desired: Desired, current: Current, chosen: Iterable[AccountKey], conflicts: DomainConflicts
) -> dict[AccountKey, AccountPlan]:
    """Without a platform nothing is planned, but unknown references are reported."""
    plans, known = {}, KnownAccounts(desired)
    for key in chosen:
        before = current.account(key)
        account = desired.accounts.get(key)
        problem = desired.ill_formed.get(key)
        stopped = () if problem is None else (stopped_by_file(key, problem),)
        if account is not None:
            findings = (*stopped, *check_stopped(account, before, None))
            plans[key] = AccountPlan(key, before.revision, (), findings, stopped=True)
        elif key in desired.orphans and key not in desired.stopped and before.state is None:
            orphans = desired.orphans[key]
            plans[key] = unknown_account(key, orphans, known)
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
    also = "Or fix the unreadable part of the tree, which may define it."
    text = item.for_tenant
    if text is not None:  # both say it, so that neither shows what the other leaves out
        text = structs.replace(text, hint=f"{text.hint} {also}")
    return structs.replace(item, hint=f"{item.hint} {also}", for_tenant=text)


def _account_of(item: Finding) -> AccountKey:
    return AccountKey(item.namespace or "", item.account or "")
