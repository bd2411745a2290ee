"""Check a tree without a store: the planner's findings, compared with a base revision or nothing.

A base is another revision of the same tree. Its declarations count as applied. Without a base,
everything is new.
"""

from itertools import chain

from sendroute.model.codes import Trait, has_trait
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
    plan = without_accepted(plan_tree(desired, _as_current(base)), desired)
    findings = chain(plan.findings, *(account.findings for account in plan.accounts))
    return tuple(
        finding
        for finding in findings
        if not has_trait(finding.code, Trait.NEEDS_STORE)
        and (base is not None or not has_trait(finding.code, Trait.NEEDS_BASE))
    )


def _as_current(base: Desired | None) -> Current:
    if base is None:
        return Current("", 0, None, {})
    accounts = {key: _account_at_base(account) for key, account in base.accounts.items()}
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
        base.key, 1, AccountState(base.plan, base.default), profiles, domains, ran
    )
