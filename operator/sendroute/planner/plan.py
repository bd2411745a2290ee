"""The plan of some accounts, or of a whole tree."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from msgspec import structs

from sendroute.model.ancestry import Ancestry
from sendroute.model.change import AccountPlan, Plan
from sendroute.model.codes import Trait, has_trait
from sendroute.model.current import Current, CurrentAccount
from sendroute.model.desired import AccountKey, Desired, DesiredAccount
from sendroute.model.finding import Finding
from sendroute.model.owner import PLATFORM, Owner
from sendroute.model.secret import Resave
from sendroute.planner.claims import NO_OTHERS, DomainConflicts, OtherAccounts, find_conflicts
from sendroute.planner.dependent_accounts import Groups, PlanContext, plan_dependent_accounts
from sendroute.planner.guards import (
    NOTHING_HELD,
    NOTHING_PENDING,
    Guards,
    HeldChanges,
    Pending,
)
from sendroute.planner.older_tree import refuse_platform, report_unknown
from sendroute.planner.platform import decide_platform
from sendroute.planner.removals import unknown_account
from sendroute.planner.stopped import check_stopped, stopped_by_file

_T = TypeVar("_T")


def plan_accounts(
    desired: Desired,
    current: Current,
    only: frozenset[AccountKey] | None = None,
    others: OtherAccounts = NO_OTHERS,
    *,
    failed: Mapping[Owner, Mapping[str, str]] | None = None,
    rotated: Mapping[Owner, Mapping[str, Resave]] | None = None,
    guards: Guards | None = None,
    pending: Pending = NOTHING_PENDING,
    held: HeldChanges = NOTHING_HELD,
    ancestry: Ancestry | None = None,
    keeps_platform: bool = False,
) -> Plan:
    """Plan what applying the manifests of some accounts changes. The cost depends only on these
    accounts.

    A move is planned only if both its ends are among the accounts: see
    :func:`sendroute.planner.selection.select`, which adds those at the other end. Without a
    platform nothing is planned.

    Args:
        desired: the manifests. For an account outside ``only``, only its name is used, for the
            hint "Did you mean …?".
        current: the state of these accounts in the store; other accounts in it are ignored.
        only: the accounts to plan; None for all. Then ``current`` must be complete.
        others: the claims of all other accounts on the domains of these accounts, and the number of
            their domains.
        failed: by account, the profiles that may not be saved (a required connection test failed,
            or a secret is missing), each with the code that says why; under the platform's key, the
            managed relay in the same way (:mod:`sendroute.model.owner`).
        rotated: by account, the profiles whose credential is saved again, each with why: its
            secret has other content, or the store has none that can be used.
        guards: the limits of one change; None for the defaults.
        pending: by account, what the guards count of changes that were planned before and not
            committed. Those of accounts outside ``only`` belong to the same whole change, so this
            plan holds back what a plan of every account would.
        held: by account, the whole change because of whose size it was held back before and not
            applied since.
        ancestry: how the commit of the manifests relates to those that were applied last; None
            outside git.
        keeps_platform: plan on the platform in the store, if there is one, because the change of
            the platform must wait.

    Returns:
        The plan of these accounts, and the platform's own change.
    """
    failed, rotated, guards = failed or {}, rotated or {}, guards or Guards()
    relay_failed, relay_rotated = failed.get(PLATFORM, {}), rotated.get(PLATFORM, {})
    platform, change, reported = decide_platform(desired, current, relay_failed, relay_rotated)
    if (refusal := refuse_platform(change, ancestry, guards)) is not None:
        platform, change, reported = current.platform, None, (*reported, refusal)
    if keeps_platform and change is not None and current.platform is not None:
        platform, change, reported = current.platform, None, ()

    accounts, stored = _among(desired.accounts, only), _among(current.accounts, only)
    conflicts = find_conflicts(accounts, stored, others)
    chosen = _chosen(desired, accounts, stored, only)
    groups: Groups = ()
    if platform is None:
        plans = _references_only(desired, current, chosen, conflicts)
    else:
        context = PlanContext(
            desired=desired,
            current=current,
            platform=platform,
            conflicts=conflicts,
            failed=failed,
            rotated=rotated,
            guards=guards,
            domain_count=others.domain_count
            + sum(len(account.domains) for account in stored.values()),
            pending={} if only is None else _without(pending, only),
            held=held,
            ancestry=ancestry,
        )
        plans, groups = plan_dependent_accounts(context, chosen)

    general = (*desired.findings, *reported, *report_unknown(plans.values(), ancestry, guards))
    return Plan(
        current.lineage,
        current.revision,
        change,
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
        guards: as for :func:`plan_accounts`.
        held: as for :func:`plan_accounts`.

    Returns:
        The plan of every account, and the platform's own change.
    """
    return plan_accounts(desired, current, failed=failed, rotated=rotated, guards=guards, held=held)


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
    plans = {}
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
    also = "Or fix the unreadable part of the tree, which may define it."
    text = item.for_tenant
    if text is not None:  # both say it, so that neither shows what the other leaves out
        text = structs.replace(text, hint=f"{text.hint} {also}")
    return structs.replace(item, hint=f"{item.hint} {also}", for_tenant=text)


def _account_of(item: Finding) -> AccountKey:
    return AccountKey(item.namespace or "", item.account or "")
