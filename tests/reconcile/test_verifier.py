"""Every saved profile was tested, even if a failed test changes which profiles are saved."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from sendroute.model.change import AccountPlan, Action, Plan, ProfileChange
from sendroute.model.connection import ConnectionOutcome, ConnectionPolicy, TestRequest, TestResult
from sendroute.model.credential import Credential
from sendroute.model.current import AccountState, Current, CurrentAccount, DomainState
from sendroute.model.desired import (
    AccountKey,
    Desired,
    DesiredAccount,
    DesiredDomain,
    DesiredPlatform,
    DesiredProfile,
)
from sendroute.model.finding import Where
from sendroute.model.platform import Platform, ServicePlan
from sendroute.model.problem import ProblemError
from sendroute.model.profile import Encryption, Profile
from sendroute.model.route import UNCONFIGURED, Origin, via
from sendroute.model.secret import SecretBinding
from sendroute.planner.digest import digest
from sendroute.planner.guards import Guards
from sendroute.planner.plan import PlanScope
from sendroute.reconcile.verifier import Verifier, failure_advice

PLATFORM = Platform(
    None, (ServicePlan("basic", managed=False),), allow_networks=("192.0.2.0/24",), ca_file="ca"
)
ACME, BETA = AccountKey("acme", "acme"), AccountKey("beta", "beta")
HERE = Where("all.yaml", 0)


class NoSecrets:
    given = False

    def credential(self, *_: object) -> None:  # no profile in these tests refers to a secret
        raise AssertionError


class FakeTester:
    """Answers by the name of the profile, and records the requests."""

    def __init__(self, **outcomes: ConnectionOutcome) -> None:
        self._outcomes = outcomes
        self.rounds: list[list[str]] = []
        self.policies: list[ConnectionPolicy] = []

    def __call__(
        self, requests: Sequence[TestRequest], policy: ConnectionPolicy
    ) -> list[TestResult]:
        self.rounds.append([request.name for request in requests])
        self.policies.append(policy)
        return [
            TestResult(
                request.account.namespace,
                request.name,
                self._outcomes.get(request.name, ConnectionOutcome.OK),
                "The test result.",
                0.1,
            )
            for request in requests
        ]


def relay(name: str) -> DesiredProfile:
    return DesiredProfile(Profile(f"{name}.example", 587, Encryption.STARTTLS), HERE)


def declared(names: Sequence[str], route: str) -> list[DesiredDomain]:
    return [DesiredDomain(name, via(route), HERE) for name in names]


def tree(*accounts: DesiredAccount) -> Desired:
    return Desired(DesiredPlatform(PLATFORM, HERE), {account.key: account for account in accounts})


def decide(
    tester: FakeTester, desired: Desired, current: Current, guards: Guards | None = None
) -> Plan:
    verifier = Verifier(NoSecrets(), None, saves=True)  # type: ignore[arg-type]
    return verifier.verify(desired, current, {}, PlanScope(guards or Guards()), tester=tester).plan


def saved(plan: Plan) -> set[str]:
    return {
        change.name
        for account in plan.accounts
        if not account.stopped
        for change in account.changes
        if isinstance(change, ProfileChange) and change.action in (Action.CREATE, Action.UPDATE)
    }


def account_plan(plan: Plan, key: AccountKey) -> AccountPlan:
    return next(account for account in plan.accounts if account.key == key)


EMPTY = Current("line", 1, PLATFORM, {})


def test_each_profile_is_tested_once_with_the_policy_of_the_platform() -> None:
    tester = FakeTester()
    account = DesiredAccount(ACME, "basic", HERE, profiles={"a": relay("a"), "b": relay("b")})
    assert saved(decide(tester, tree(account), EMPTY)) == {"a", "b"}
    assert tester.rounds == [["a", "b"]]
    assert tester.policies == [ConnectionPolicy(("192.0.2.0/24",), "ca")]


def test_a_relative_ca_file_is_relative_to_the_manifest() -> None:
    tester = FakeTester()
    account = DesiredAccount(ACME, "basic", HERE, profiles={"a": relay("a")})
    platform = DesiredPlatform(PLATFORM, Where("mail/base/platform.yaml", 0))
    decide(tester, replace(tree(account), platform=platform), EMPTY)
    assert [policy.ca_file for policy in tester.policies] == ["mail/base/ca"]


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (ConnectionOutcome.AUTH_FAILED, "connection-test-failed"),
        (ConnectionOutcome.ADDRESS_REFUSED, "address-refused"),
    ],
)
def test_a_profile_that_fails_its_test_is_skipped_and_reported(
    outcome: ConnectionOutcome, code: str
) -> None:
    tester = FakeTester(a=outcome)
    account = DesiredAccount(ACME, "basic", HERE, profiles={"a": relay("a"), "b": relay("b")})
    plan = decide(tester, tree(account), EMPTY)
    assert saved(plan) == {"b"}
    assert [finding.code for finding in account_plan(plan, ACME).findings] == [code]
    assert "The test result." in account_plan(plan, ACME).findings[0].message


@pytest.mark.parametrize(
    ("outcome", "advice", "hint", "blames"),
    [
        (ConnectionOutcome.AUTH_FAILED, None, "Fix the secret", True),
        (ConnectionOutcome.TEMPORARY_FAILURE, None, "Try again later", False),
        (ConnectionOutcome.PROTOCOL_ERROR, None, "Check the host, the port", False),
        (ConnectionOutcome.TLS_FAILED, "Set encryption: tls.", "Set encryption: tls.", False),
    ],
)
def test_the_hint_follows_from_what_the_test_has_seen(
    outcome: ConnectionOutcome, advice: str | None, hint: str, blames: bool
) -> None:
    result = failure_advice(TestResult("acme", "a", outcome, "The test result.", 0.1, advice))
    assert result.startswith(hint)
    assert ("Fix the secret" in result) is blames


def test_an_account_unblocked_by_a_failed_test_is_tested_too() -> None:
    """Seven of the store's twelve domains would be rerouted, so beta is blocked, and its new
    profile is not tested. Six of the reroutes are approved, but their profile fails: one reroute is
    left, beta is not blocked any more, and its profile would be saved."""
    names = [f"d{number:02}.example" for number in range(12)]
    approved = DesiredAccount(
        ACME, "basic", HERE, profiles={"a": relay("a")}, domains=declared(names[:6], "a")
    )
    unchanged = [DesiredDomain(name, None, HERE) for name in names[7:]]
    blocked = DesiredAccount(
        BETA,
        "basic",
        HERE,
        profiles={"b": relay("b")},
        domains=[*declared(names[6:7], "b"), *unchanged],
    )
    state = DomainState(UNCONFIGURED, Origin.DEFAULT)
    domains = {ACME: dict.fromkeys(names[:6], state), BETA: dict.fromkeys(names[6:], state)}
    current = Current(
        "line",
        1,
        PLATFORM,
        {key: CurrentAccount(key, 1, AccountState("basic"), {}, domains[key]) for key in domains},
    )
    shown = decide(FakeTester(), tree(approved, blocked), current)
    assert all(plan.stopped for plan in shown.accounts)
    guards = Guards(approved={ACME: digest(account_plan(shown, ACME))})
    tester = FakeTester(a=ConnectionOutcome.CONNECT_FAILED)
    plan = decide(tester, tree(approved, blocked), current, guards)
    assert tester.rounds == [["a"], ["b"]]
    assert saved(plan) == {"b"}


def test_profiles_of_a_blocked_account_are_not_tested() -> None:
    broken = DesiredAccount(ACME, "gone", HERE, profiles={"a": relay("a")})
    tester = FakeTester()
    decide(tester, tree(broken), EMPTY)
    assert tester.rounds == []


class OneSecret:
    """One secret for every profile; a rotation replaces the whole value."""

    given = True

    def __init__(self, password: str) -> None:
        self._password = password

    def credential(self, *_: object) -> Credential:
        return Credential("user", self._password)


class PlainCipher:
    """A token that shows what it holds; used by this test only."""

    def encrypt(self, credential: Credential, binding: SecretBinding) -> str:
        return f"{binding.profile}:{credential.password}"

    def holds(self, token: str, binding: SecretBinding, credential: Credential) -> bool:
        return token == self.encrypt(credential, binding)


def signed_in(name: str) -> DesiredProfile:
    profile = Profile(f"{name}.example", 587, Encryption.STARTTLS, secret="s")
    return DesiredProfile(profile, HERE)


def test_a_plan_does_not_depend_on_which_verification_came_last() -> None:
    """One verifier, two plans: the encrypted credentials and the tests of each plan are separate,
    in any order of use."""
    verifier = Verifier(OneSecret("new"), PlainCipher(), saves=True)  # type: ignore[arg-type]
    first = tree(DesiredAccount(ACME, "basic", HERE, profiles={"a": signed_in("a")}))
    current = Current(
        "line",
        1,
        PLATFORM,
        {ACME: CurrentAccount(ACME, 1, AccountState("basic"), {"a": signed_in("a").profile}, {})},
    )
    scope = PlanScope(Guards())
    rotated = verifier.verify(first, current, {ACME: {"a": "a:old"}}, scope)
    settled = verifier.verify(first, current, {ACME: {"a": "a:new"}}, scope)
    assert rotated.plan.accounts[0].changes
    assert not settled.plan.accounts[0].changes
    changes = rotated.plan.accounts
    assert verifier.encrypt(rotated.secrets, changes, None) == {ACME: {"a": "a:new"}}
    assert verifier.encrypt(settled.secrets, changes, None) == {}, (
        "the second check found no rotation"
    )
    assert verifier.encrypt(rotated.secrets, changes, None) == {ACME: {"a": "a:new"}}

    tester = FakeTester(a=ConnectionOutcome.AUTH_FAILED)
    tested = verifier.verify(
        first, current, {ACME: {"a": "a:old"}}, scope, tester=tester, tests=rotated.tests
    )
    assert len(tested.tests) == 1
    assert not rotated.tests, "the earlier plan is unchanged"
    assert rotated.untested == 1


def test_verified_plans_and_checks_are_immutable() -> None:
    verifier = Verifier(OneSecret("new"), PlainCipher(), saves=True)  # type: ignore[arg-type]
    account = DesiredAccount(ACME, "basic", HERE, profiles={"a": signed_in("a")})
    verified = verifier.verify(tree(account), EMPTY, {}, PlanScope(Guards()))
    for value in (verifier, verified, verified.secrets):
        with pytest.raises(AttributeError, match="immutable"):
            value.plan = None  # type: ignore[union-attr, misc, assignment]
    for mapping in (verified.tests, verified.secrets.failed, verified.secrets.rotated):
        with pytest.raises(TypeError):
            mapping[ACME] = None  # type: ignore[index]


def test_a_plan_without_a_key_reports_what_applying_it_refuses() -> None:
    account = DesiredAccount(ACME, "basic", HERE, profiles={"a": signed_in("a")})
    planning = Verifier(OneSecret("new"), None)  # type: ignore[arg-type]
    plan = planning.verify(tree(account), EMPTY, {}, PlanScope(Guards())).plan
    assert plan.accounts[0].changes, "the plan is shown all the same"
    shown = [item for item in plan.findings if item.code == "key-missing"]
    with pytest.raises(ProblemError) as refused:
        replace(planning, saves=True).verify(tree(account), EMPTY, {}, PlanScope(Guards()))
    assert list(refused.value.findings) == shown
