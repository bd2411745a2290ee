"""A change that a guard stops is applied if exactly this plan was approved."""

from tests.planner.test_selection import MemoryStore

from sendroute.model.change import AccountPlan
from sendroute.model.current import AccountState, Current, CurrentAccount, DomainState
from sendroute.model.desired import (
    AccountKey,
    Desired,
    DesiredAccount,
    DesiredDomain,
    DesiredPlatform,
)
from sendroute.model.finding import Where
from sendroute.model.platform import Platform, ServicePlan
from sendroute.model.remedy import Approve, GuardLimit, RaiseLimit
from sendroute.model.route import UNCONFIGURED, Origin
from sendroute.planner.claim_index import ClaimIndex
from sendroute.planner.digest import digest
from sendroute.planner.guards import Guards
from sendroute.planner.plan import plan_tree
from sendroute.planner.selection import select

HERE = Where("a.yaml", 0)
PLATFORM = Platform(None, (ServicePlan("nano", managed=False),))
A, B, C = (AccountKey("n", name) for name in "abc")
STATE = DomainState(UNCONFIGURED, Origin.DEFAULT)


def names(letter: str, count: int) -> list[str]:
    return [f"{letter}{number:02}.example.com" for number in range(count)]


def desired(domains: dict[AccountKey, list[str]]) -> Desired:
    return Desired(
        DesiredPlatform(PLATFORM, HERE),
        {
            key: DesiredAccount(
                key, "nano", HERE, domains=[DesiredDomain(name, None, HERE) for name in some]
            )
            for key, some in domains.items()
        },
    )


def current(domains: dict[AccountKey, list[str]]) -> Current:
    return Current(
        "lineage",
        7,
        PLATFORM,
        {
            key: CurrentAccount(key, 7, AccountState("nano"), domains=dict.fromkeys(some, STATE))
            for key, some in domains.items()
        },
    )


def planned(
    after: dict[AccountKey, list[str]],
    before: dict[AccountKey, list[str]],
    approved: dict[AccountKey, str],
) -> dict[AccountKey, AccountPlan]:
    plan = plan_tree(desired(after), current(before), guards=Guards(approved=approved))
    return {account.key: account for account in plan.accounts}


BEFORE = {A: names("a", 12)}
AFTER = {A: names("a", 2)}


def test_a_held_back_change_waits_for_an_approval() -> None:
    plan = planned(AFTER, BEFORE, {})[A]
    assert plan.stopped
    (finding,) = plan.findings
    assert finding.remedy == Approve("n", "a")


def test_without_approvals_the_finding_suggests_a_higher_limit() -> None:
    (plan,) = plan_tree(desired(AFTER), current(BEFORE)).accounts
    assert plan.findings[0].remedy == RaiseLimit(GuardLimit.REMOVALS, 84)


def test_an_approved_plan_is_not_stopped() -> None:
    shown = planned(AFTER, BEFORE, {})[A]
    plan = planned(AFTER, BEFORE, {A: digest(shown)})[A]
    assert not plan.stopped
    assert plan.changes == shown.changes


def test_a_plan_that_differs_from_the_approved_plan_is_stopped() -> None:
    shown = planned(AFTER, BEFORE, {})[A]
    assert planned({A: names("a", 3)}, BEFORE, {A: digest(shown)})[A].stopped


def test_an_approval_of_one_account_does_not_approve_another_account() -> None:
    shown = planned(AFTER, BEFORE, {})[A]
    assert planned(AFTER, BEFORE, {B: digest(shown)})[A].stopped


def test_accounts_that_exchange_domains_need_both_approvals() -> None:
    before = {A: names("a", 12), B: names("b", 12)}
    after = {A: names("a", 3), B: [*names("b", 2), *names("a", 12)[9:]]}
    shown = planned(after, before, {})
    assert shown[A].stopped
    assert shown[B].stopped
    half_approved = planned(after, before, {A: digest(shown[A])})
    assert half_approved[A].stopped, "A waits for the approval of B"
    assert digest(half_approved[A]) == digest(shown[A]), "otherwise the approval would be void"
    both = planned(after, before, {key: digest(plan) for key, plan in shown.items()})
    assert not any(plan.stopped for plan in both.values())
    assert sum(len(plan.changes) for plan in both.values()) == 22


def planned_with(
    key: AccountKey, after: dict[AccountKey, list[str]], before: dict[AccountKey, list[str]]
) -> frozenset[AccountKey]:
    accounts = desired(after).accounts
    return select({key}, accounts, ClaimIndex(accounts.values()), MemoryStore(current(before))).keys


def test_accounts_that_exchange_domains_in_a_chain_are_planned_together() -> None:
    before = {A: ["x.example.com"], B: ["y.example.com"], C: ["z.example.com"]}
    after = {A: list[str](), B: ["x.example.com"], C: ["y.example.com", "z.example.com"]}
    assert planned_with(A, after, before) == {A, B, C}
    assert planned_with(A, before, before) == {A}
