"""A plan of some accounts while the change of the platform must wait."""

from sendroute.model.current import Current
from sendroute.model.desired import AccountKey, Desired, DesiredAccount, DesiredPlatform
from sendroute.model.finding import Where
from sendroute.model.platform import PlanLimits, Platform, ServicePlan
from sendroute.planner.plan import PlanScope, plan_accounts

ACME = AccountKey("acme", "acme")
HERE = Where("a.yaml", 0)


def platform(*plans: str) -> Platform:
    return Platform(None, tuple(ServicePlan(name, False, PlanLimits()) for name in plans))


def desired(new: Platform | None) -> Desired:
    declared = None if new is None else DesiredPlatform(new, HERE)
    return Desired(declared, {ACME: DesiredAccount(ACME, "nano", HERE)})


OLD = Current("a-store", 1, platform("nano"), {})
KEPT = PlanScope(only=frozenset({ACME}), keeps_platform=True)


def test_the_platform_in_the_store_stays_and_the_account_is_planned_on_it() -> None:
    plan = plan_accounts(desired(platform("pro")), OLD, KEPT)
    assert plan.platform is None
    [account] = plan.accounts
    assert account.changes
    assert not account.stopped
    decided = plan_accounts(desired(platform("pro")), OLD, PlanScope(only=frozenset({ACME})))
    assert decided.platform is not None
    assert decided.accounts[0].stopped, "its plan is unknown to the new platform"


def test_a_store_without_a_platform_gets_one() -> None:
    empty = Current("a-store", 0, None, {})
    plan = plan_accounts(desired(platform("nano")), empty, KEPT)
    assert plan.platform is not None


def test_without_a_readable_platform_nothing_is_planned() -> None:
    plan = plan_accounts(desired(None), OLD, KEPT)
    assert plan.platform is None
    assert not any(account.changes for account in plan.accounts)
