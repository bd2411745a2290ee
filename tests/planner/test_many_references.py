"""References to what does not exist, by the thousand: one tenant's plan is every tenant's wait."""

import time
from collections.abc import Callable

import pytest

from sendroute.model.current import Current
from sendroute.model.desired import (
    AccountKey,
    Desired,
    DesiredAccount,
    DesiredDomain,
    DesiredPlatform,
    DesiredProfile,
    Orphan,
)
from sendroute.model.finding import Finding, Where
from sendroute.model.platform import Platform, ServicePlan
from sendroute.model.profile import Encryption, Profile
from sendroute.model.route import via
from sendroute.planner.plan import plan_tree

HERE = Where("a.yaml", 0)
PLATFORM = DesiredPlatform(Platform(None, (ServicePlan("nano", managed=False),)), HERE)
NOTHING = Current("lineage", 1, None, {})
PROFILE = Profile(host="smtp.example.com", port=587, encryption=Encryption.STARTTLS)


def unknown_profiles(count: int) -> Desired:
    """As many profiles as domains that each refer to another one."""
    key = AccountKey("acme", "acme")
    profiles = {f"provider-{n:05}": DesiredProfile(PROFILE, HERE) for n in range(count)}
    domains = [
        DesiredDomain(f"d{n}.example.com", via(f"provider-{n:05}x"), HERE) for n in range(count)
    ]
    account = DesiredAccount(key, "nano", HERE, domains=domains, profiles=profiles)
    return Desired(PLATFORM, {key: account})


def unknown_accounts(count: int) -> Desired:
    """As many accounts as domains of accounts that are not there."""
    keys = [AccountKey("acme", f"customer-{n:05}") for n in range(count)]
    accounts = {key: DesiredAccount(key, "nano", HERE) for key in keys}
    orphans = {
        AccountKey("acme", f"{key.name}x"): [Orphan("SendingDomain", "shop", HERE)] for key in keys
    }
    return Desired(PLATFORM, accounts, orphans)


def findings_of(desired: Desired) -> list[Finding]:
    return [item for plan in plan_tree(desired, NOTHING).accounts for item in plan.findings]


@pytest.mark.parametrize("tree", [unknown_profiles, unknown_accounts])
def test_a_thousand_unknown_names_are_not_compared_with_a_thousand_others(
    tree: Callable[[int], Desired],
) -> None:
    """Comparing all of them took 15 seconds."""
    some = [item.hint or "" for item in findings_of(tree(100))]
    assert sum(hint.startswith("Did you mean ") for hint in some) == 100
    started = time.process_time()
    many = [item.hint or "" for item in findings_of(tree(1000))]
    assert time.process_time() - started < 5
    assert sum("unknown" in item.code for item in findings_of(tree(1000))) == 1000
    assert not any("Did you mean" in hint for hint in many)
