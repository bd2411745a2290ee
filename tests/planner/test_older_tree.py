"""The guard ``older-tree``, as a pure function of what git says about the tree's commit."""

import pytest
from msgspec import UNSET, UnsetType

from sendroute.model.ancestry import Ancestry, AppliedCommit
from sendroute.model.change import Plan
from sendroute.model.current import AccountState, Current, CurrentAccount, DomainState
from sendroute.model.desired import (
    AccountKey,
    Desired,
    DesiredAccount,
    DesiredDomain,
    DesiredPlatform,
)
from sendroute.model.finding import Severity, Where
from sendroute.model.platform import PlanLimits, Platform, ServicePlan
from sendroute.model.route import UNCONFIGURED, Origin
from sendroute.planner.digest import digest
from sendroute.planner.guards import Guards
from sendroute.planner.plan import PlanScope, plan_accounts

ACME, BETA = AccountKey("acme", "acme"), AccountKey("beta", "beta")
HERE = Where("a.yaml", 0)
PLATFORM = Platform(managed=None, plans=(ServicePlan("nano", False, PlanLimits()),))
TREE, OTHER = AppliedCommit("1" * 40, "f" * 40), AppliedCommit("2" * 40, "f" * 40)
OLDER = Ancestry(TREE, missing=(OTHER,))
UNKNOWN = Ancestry(TREE, unknown=(OTHER,))


def plan(
    ancestry: Ancestry | None,
    acme: tuple[str, ...],
    *,
    guards: Guards | None = None,
    platform: Platform = PLATFORM,
) -> Plan:
    """Both accounts have the domain ``a…``; account beta also declares ``new.beta.example``, and
    account acme the given domains."""
    state = DomainState(UNCONFIGURED, Origin.DECLARED, UNCONFIGURED)
    accounts, current = {}, {}
    declared = {ACME: acme, BETA: ("a.beta.example", "new.beta.example")}
    for key, names in declared.items():
        domains = [DesiredDomain(name, UNCONFIGURED, HERE) for name in names]
        accounts[key] = DesiredAccount(key, "nano", HERE, domains=domains)
        held = {f"a.{key.name}.example": state}
        current[key] = CurrentAccount(key, 1, AccountState("nano"), domains=held)
    return plan_accounts(
        Desired(DesiredPlatform(platform, HERE), accounts),
        Current("a-store", 1, PLATFORM, current),
        PlanScope(guards or Guards(), ancestry=ancestry),
    )


def stopped(planned: Plan) -> set[str]:
    return {account.key.name for account in planned.accounts if account.stopped}


@pytest.mark.parametrize("ancestry", [None, Ancestry(TREE, contained=(OTHER,)), Ancestry(TREE)])
def test_a_tree_that_contains_what_was_applied_is_not_guarded(ancestry: Ancestry | None) -> None:
    planned = plan(ancestry, ())
    assert (stopped(planned), list(planned.all_findings)) == (set(), [])


def test_only_the_account_that_would_lose_something_is_held_back() -> None:
    planned = plan(OLDER, ())
    assert stopped(planned) == {"acme"}
    (refusal,) = planned.all_findings
    assert (refusal.code, refusal.severity, refusal.account) == (
        "older-tree",
        Severity.REFUSED,
        "acme",
    )
    assert refusal.message == (
        "Commit 111111111111 would delete 1 object of account acme/acme, and it does not contain"
        " commit 222222222222, which was applied last from this repository."
    )


@pytest.mark.parametrize("logins", [("app",), ("app", "crm", "left"), UNSET])
def test_an_older_tree_does_not_change_who_may_send(logins: tuple[str, ...] | UnsetType) -> None:
    now = AccountState("nano", logins=("app", "crm"))
    desired = DesiredAccount(ACME, "nano", HERE, logins=logins)
    planned = plan_accounts(
        Desired(DesiredPlatform(PLATFORM, HERE), {ACME: desired}),
        Current("a-store", 1, PLATFORM, {ACME: CurrentAccount(ACME, 1, now)}),
        PlanScope(ancestry=OLDER),
    )
    assert stopped(planned) == {"acme"}


def test_if_only_signed_commits_are_accepted_an_addition_waits_too() -> None:
    signed = Ancestry(TREE, missing=(OTHER,), signed=True)
    assert stopped(plan(signed, ("a.acme.example",))) == {"beta"}


def test_an_allowed_or_approved_older_tree_goes_through() -> None:
    assert stopped(plan(OLDER, (), guards=Guards(allow_older_tree=True))) == set()
    (acme, _) = plan(OLDER, ()).accounts
    assert stopped(plan(OLDER, (), guards=Guards(approved={ACME: "another"}))) == {"acme"}
    approved = Guards(approved={ACME: digest(acme)})
    assert stopped(plan(OLDER, (), guards=approved)) == set()


def test_a_shallow_clone_gives_one_warning_if_something_would_be_lost() -> None:
    planned = plan(UNKNOWN, ())
    assert stopped(planned) == set()
    assert [(item.code, item.severity) for item in planned.findings] == [
        ("older-tree", Severity.WARNING)
    ]
    assert list(plan(UNKNOWN, ("a.acme.example",)).all_findings) == []


def test_an_older_tree_does_not_change_the_platform() -> None:
    plans = (*PLATFORM.plans, ServicePlan("pro", False, PlanLimits()))
    other = Platform(managed=None, plans=plans)
    planned = plan(OLDER, ("a.acme.example",), platform=other)
    assert planned.platform is None
    assert [item.code for item in planned.findings] == ["older-tree"]
    allowed = plan(OLDER, (), platform=other, guards=Guards(allow_older_tree=True))
    assert allowed.platform is not None
