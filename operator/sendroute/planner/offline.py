"""Check a tree without a store: the planner's findings, compared with a base revision or nothing.

A base is another revision of the same tree. Its declarations count as applied. Without a base,
everything is new.
"""

from collections.abc import Iterator
from itertools import chain

from msgspec import structs

from sendroute.model.codes import Trait, finding, has_trait
from sendroute.model.current import AccountState, Current, CurrentAccount, DomainState, RanApplyAll
from sendroute.model.desired import Desired, DesiredAccount
from sendroute.model.finding import Finding
from sendroute.model.route import UNCONFIGURED, Origin
from sendroute.planner.accepted import without_accepted
from sendroute.planner.plan import plan_tree


def check_tree(desired: Desired, base: Desired | None = None) -> tuple[Finding, ...]:
    """Check a tree without a store.

    Args:
        desired: the manifests to check.
        base: the manifests of an earlier revision; None for none.

    Returns:
        Every finding that does not need a store, or a base if there is none.
    """
    current = _with_suspended(desired, _as_current(base))
    plan = without_accepted(plan_tree(desired, current), desired)
    findings = chain(
        plan.findings,
        _bounces_refused(desired),
        *(account.findings for account in plan.accounts),
    )
    return tuple(
        item
        for item in findings
        if not has_trait(item.code, Trait.NEEDS_STORE)
        and (base is not None or not has_trait(item.code, Trait.NEEDS_BASE))
    )


def _bounces_refused(desired: Desired) -> Iterator[Finding]:
    platform = desired.platform
    if platform is None or platform.suspended or platform.platform.null_sender_relay is not None:
        return
    refused = finding(
        "bounces-refused",
        "Mail of the null sender <>, which is that of bounces, is refused: the platform has neither"
        " spec.bounces nor spec.managed.",
        hint="If clients of a relay send bounces, set spec.bounces.relay.",
        where=platform.where.at("spec"),
    )
    if not desired.accepts(refused):
        yield refused


def _with_suspended(desired: Desired, current: Current) -> Current:
    """Count what a suspended document declares as stored, if the base does not have it: only a
    store knows whether it holds the platform or the profile, so nothing is said of it."""
    platform = current.platform
    if platform is None and desired.platform is not None and desired.platform.suspended:
        platform = desired.platform.platform
    accounts = dict(current.accounts)
    for key, account in desired.accounts.items():
        suspended = {name: p.profile for name, p in account.profiles.items() if p.suspended}
        if suspended:
            before = accounts.get(key) or CurrentAccount(key, 0, None)
            profiles = suspended | before.profiles
            accounts[key] = structs.replace(before, profiles=profiles)
    return structs.replace(current, platform=platform, accounts=accounts)


def _as_current(base: Desired | None) -> Current:
    if base is None:
        return Current("", 0, None, {})
    accounts = {
        key: _account_at_base(account)
        for key, account in base.accounts.items()
        if account.remove is None  # then it counts as removed
    }
    platform = base.platform.platform if base.platform is not None else None
    return Current("", 0, platform, accounts)


def _account_at_base(base: DesiredAccount) -> CurrentAccount:
    domains = {
        desired.domain: DomainState(
            desired.route or UNCONFIGURED,
            Origin.DECLARED if desired.route else Origin.DEFAULT,
            desired.route,
            None,
            desired.overrides,
        )
        for desired in base.domains
    }
    ran = {}
    if base.apply_all is not None:
        ran[base.apply_all.id] = RanApplyAll(base.apply_all.route, len(domains))
    profiles = {name: desired.profile for name, desired in base.profiles.items()}
    return CurrentAccount(
        base.key, 1, AccountState(base.plan, base.default, base.logins), profiles, domains, ran
    )
