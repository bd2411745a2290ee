"""What can be said of a tree without a store: the planner's own findings, over a base or nothing.

A base is another revision of the same tree: what it declares counts as known, as if it had been
applied. Without one, everything is new.
"""

from itertools import chain

from sendroute.model.finding import Finding
from sendroute.model.held import AccountState, DomainState, Held, HeldAccount, RanApplyAll
from sendroute.model.route import UNCONFIGURED, Origin
from sendroute.model.wanted import Wanted, WantedAccount
from sendroute.planner.plan import plan_tree

# What only a store can know: how many domains there are, and which apply-all ran.
_NEEDS_A_STORE = frozenset(
    {
        "awaiting-confirmation",
        "confirmation-exceeded",
        "apply-all-id-reused",
        "too-many-changes",
        "too-many-removals",
        "held-back",
    }
)

# What only an earlier state can know: which declared routes this change edits.
_NEEDS_A_BASE = frozenset({"apply-all-wins"})


def check_tree(wanted: Wanted, base: Wanted | None = None) -> tuple[Finding, ...]:
    """Every finding about ``wanted`` that needs no store."""
    unknown = _NEEDS_A_STORE if base is not None else _NEEDS_A_STORE | _NEEDS_A_BASE
    plan = plan_tree(wanted, _as_held(base))
    told = chain(plan.findings, *(account.findings for account in plan.accounts))
    return tuple(found for found in told if found.code not in unknown)


def _as_held(base: Wanted | None) -> Held:
    if base is None:
        return Held("", 0, None, {})
    accounts = {key: _account(account) for key, account in base.accounts.items()}
    platform = base.platform.platform if base.platform is not None else None
    return Held("", 0, platform, accounts)


def _account(base: WantedAccount) -> HeldAccount:
    domains = {
        wanted.domain: DomainState(
            wanted.route or UNCONFIGURED,
            Origin.DECLARED if wanted.route else Origin.DEFAULT,
            wanted.route,
        )
        for wanted in base.domains
    }
    ran = {}
    if base.apply_all is not None:
        ran[base.apply_all.id] = RanApplyAll(base.apply_all.route, len(domains))
    profiles = {name: wanted.profile for name, wanted in base.profiles.items()}
    return HeldAccount(base.key, 1, AccountState(base.plan, base.default), profiles, domains, ran)
