"""Check a tree without a store: the planner's findings, compared with a base revision or nothing.

A base is another revision of the same tree. It counts as applied to an empty store. Without a base,
everything is new.
"""

from collections.abc import Iterator
from itertools import chain

from msgspec.structs import replace

from sendroute.model.codes import Code, Trait, finding, has_trait
from sendroute.model.current import AccountState, Current, CurrentAccount, DomainState, RanApplyAll
from sendroute.model.desired import AccountKey, Desired, DesiredAccount
from sendroute.model.finding import Finding, Severity
from sendroute.model.platform import Platform, ServicePlan
from sendroute.model.route import MANAGED, Origin
from sendroute.planner.accepted import without_accepted
from sendroute.planner.default import effective_default
from sendroute.planner.guards import Guards
from sendroute.planner.inputs import satisfiable_routes
from sendroute.planner.plan import plan_tree


def check_tree(
    desired: Desired,
    base: Desired | None = None,
    *,
    measured_by: str = "in the base revision",
) -> tuple[Finding, ...]:
    """Check a tree without a store.

    Args:
        desired: the manifests to check.
        base: the manifests of an earlier revision; None for none.
        measured_by: what the messages of guards call the domains of the base.

    Returns:
        Every finding that does not need a store, or a base if there is none. What a guard would
        refuse after the base is a warning: only a store knows what is refused. Reroutes are not
        counted for an account whose routes at the base are not known.
    """
    current = _with_suspended(desired, _as_current(base))
    guards = Guards(measured_by=measured_by)
    plan = without_accepted(plan_tree(desired, current, guards=guards), desired)
    findings = chain(
        plan.findings,
        _bounces_refused(desired),
        *(account.findings for account in plan.accounts),
    )
    unknown = _of_unknown_routes(base)
    return tuple(
        _of_base(item, base, measured_by)
        for item in findings
        if not has_trait(item.code, Trait.NEEDS_STORE)
        and (base is not None or not has_trait(item.code, Trait.NEEDS_BASE))
        and (item.code != Code.TOO_MANY_CHANGES or (item.namespace, item.account) not in unknown)
    )


def _of_base(item: Finding, base: Desired | None, measured_by: str) -> Finding:
    """A finding after the base: no guard refuses there, and where domains are is not always
    known."""
    if has_trait(item.code, Trait.GUARD):
        return replace(item, severity=Severity.WARNING)
    if base is None or item.code != Code.PROFILE_DELETED:
        return item
    account = base.accounts.get(AccountKey(item.namespace or "", item.account or ""))
    if account is None or all(domain.route is not None for domain in account.domains):
        return item
    unknown = f"A domain that declares no route counts as on the default {measured_by}"
    return replace(item, hint=f"{item.hint} {unknown}; only the store knows its route.")


def _of_unknown_routes(base: Desired | None) -> frozenset[AccountKey]:
    """The accounts of which only a store knows the routes: those with an apply-all, which switched
    the domains that were there when it ran, and those with errors, of which nothing was applied."""
    if base is None:
        return frozenset()
    switched = (key for key, account in base.accounts.items() if account.apply_all is not None)
    return frozenset(base.stopped).union(switched)


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
            accounts[key] = replace(before, profiles=profiles)
    return replace(current, platform=platform, accounts=accounts)


def _as_current(base: Desired | None) -> Current:
    if base is None:
        return Current("", 0, None, {})
    platform = base.platform.platform if base.platform is not None else None
    accounts = {
        key: _account_at_base(account, platform)
        for key, account in base.accounts.items()
        if account.remove is None  # then it counts as removed
    }
    return Current("", 0, platform, accounts)


def _account_at_base(base: DesiredAccount, platform: Platform | None) -> CurrentAccount:
    domains = _domains_at_base(base, platform)
    ran = {}
    if base.apply_all is not None:
        ran[base.apply_all.id] = RanApplyAll(base.apply_all.route, len(domains))
    profiles = {name: desired.profile for name, desired in base.profiles.items()}
    return CurrentAccount(
        base.key, 1, AccountState(base.plan, base.default, base.logins), profiles, domains, ran
    )


def _domains_at_base(base: DesiredAccount, platform: Platform | None) -> dict[str, DomainState]:
    """The domains after steps 3 and 5: a declared route that was not satisfiable at the base was
    reassigned then, so nothing of it is lost later."""
    known = platform.plan(base.plan) if platform is not None else None
    plan = known or ServicePlan(base.plan, managed=False)
    satisfiable = satisfiable_routes(plan, base.profiles)
    if known is None:  # it may offer managed sending
        satisfiable |= {MANAGED}
    default = effective_default(base.default, plan, satisfiable)
    domains = {}
    for desired in base.domains:
        route, origin = default, Origin.DEFAULT
        if desired.route is not None:
            route, origin = desired.route, Origin.DECLARED
            if route not in satisfiable:
                route, origin = plan.plan_default, Origin.REASSIGNED
        domains[desired.domain] = DomainState(route, origin, desired.route, None, desired.overrides)
    return domains
