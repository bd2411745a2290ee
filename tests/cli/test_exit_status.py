"""The exit status: the most severe reason decides (docs/commands.md)."""

import pytest

from sendroute.cli.exit_status import ExitStatus, of_findings, of_plan, of_result
from sendroute.model.change import AccountPlan, Action, DomainChange, Plan, PlatformChange
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Severity
from sendroute.model.outcome import AccountOutcome, Outcome, Result

KEY = AccountKey("acme", "acme")

ERROR = finding("unknown-profile", "x")
WARNING = finding("unusual-port", "x")
INFO = finding("suspended", "x")
UNCONFIRMED = finding("awaiting-confirmation", "x")
GUARD = finding("too-many-changes", "x")
OTHER_STORE = finding("wrong-store", "x")
FAILED_TEST = finding("connection-test-failed", "x")
TEST_WARNING = finding("connection-test-failed", "x", severity=Severity.WARNING)
SKIPPED = finding("dependency-skipped", "x")


def change(action):
    return DomainChange(KEY, "a.example", action, None, None, "r", "m")


def plan(*findings, actions=()):
    return Plan("l", 1, None, (AccountPlan(KEY, 1, tuple(map(change, actions)), findings),))


@pytest.mark.parametrize(
    ("findings", "strict", "status"),
    [
        pytest.param([], False, 0, id="no finding is fine"),
        pytest.param([INFO], True, 0, id="information never counts, with strict neither"),
        pytest.param([WARNING], False, 0, id="a warning is fine"),
        pytest.param([WARNING], True, 1, id="a warning fails with strict"),
        pytest.param([SKIPPED], False, 0, id="an object that would wait is a warning"),
        pytest.param([SKIPPED], True, 1, id="which fails with strict"),
        pytest.param([UNCONFIRMED], False, 3, id="a refused apply-all refuses"),
        pytest.param([UNCONFIRMED, ERROR], False, 1, id="an error is more severe than a refusal"),
    ],
)
def test_status_of_findings(findings, strict, status):
    assert of_findings(findings, strict=strict) == status


@pytest.mark.parametrize(
    ("findings", "actions", "detailed", "status"),
    [
        pytest.param([], [], True, 0, id="an empty plan is fine with detailed too"),
        pytest.param([], [Action.CREATE], False, 0, id="changes are fine without detailed"),
        pytest.param([], [Action.CREATE], True, 2, id="changes are pending with detailed"),
        pytest.param([GUARD], [Action.CREATE], False, 3, id="a guard refuses a plan too"),
        pytest.param([GUARD], [Action.CREATE], True, 3, id="a guard comes before pending"),
        pytest.param([OTHER_STORE], [Action.CREATE], False, 3, id="another store refuses too"),
        pytest.param([UNCONFIRMED], [], False, 3, id="a refused apply-all refuses a plan too"),
        pytest.param([FAILED_TEST], [Action.SKIP], True, 4, id="a skip comes before pending"),
        pytest.param([SKIPPED], [], False, 4, id="an object that waits is a partial apply"),
        pytest.param(
            [TEST_WARNING], [], False, 0, id="a failed test that only warns skips nothing"
        ),
        pytest.param([UNCONFIRMED], [Action.SKIP], True, 3, id="a refusal comes before a skip"),
        pytest.param(
            [ERROR, UNCONFIRMED], [Action.SKIP], True, 1, id="an error comes before everything"
        ),
        pytest.param([WARNING, INFO], [], True, 0, id="warnings and information are fine"),
    ],
)
def test_status_of_a_plan(findings, actions, detailed, status):
    assert of_plan(plan(*findings, actions=actions), detailed=detailed) == status


def test_a_change_of_the_platform_is_pending():
    platform = PlatformChange(Action.UPDATE, None, None, "", "")
    assert of_plan(Plan("l", 1, platform, ()), detailed=True) == ExitStatus.PENDING


@pytest.mark.parametrize(
    ("planned", "outcome", "findings", "actions", "status"),
    [
        pytest.param([], Outcome.COMMITTED, [], [Action.CREATE], 0, id="all committed"),
        pytest.param([], Outcome.UNCHANGED, [], [], 0, id="nothing to do"),
        pytest.param([], Outcome.FAILED, [], [], 1, id="a failed account fails"),
        pytest.param([], Outcome.REFUSED, [], [], 3, id="a refused account refuses"),
        pytest.param([GUARD], Outcome.REFUSED, [], [], 3, id="a guard refuses an apply"),
        pytest.param([], Outcome.SKIPPED, [], [], 4, id="an account that was not tried is partial"),
        pytest.param([], Outcome.COMMITTED, [], [Action.SKIP], 4, id="a skip is partial"),
        pytest.param([], Outcome.COMMITTED, [FAILED_TEST], [], 4, id="a failed test is partial"),
        pytest.param([ERROR], Outcome.COMMITTED, [], [], 1, id="an error of the plan fails"),
        pytest.param([], Outcome.COMMITTED, [ERROR], [], 1, id="an error of the apply fails"),
        pytest.param([WARNING], Outcome.COMMITTED, [INFO], [], 0, id="warnings are fine"),
    ],
)
def test_status_of_a_result(planned, outcome, findings, actions, status):
    done = AccountOutcome(KEY, outcome, 1, tuple(findings))
    assert of_result(Result(plan(*planned, actions=actions), None, (done,), 2)) == status


def test_a_relay_behind_the_store_makes_the_status_partial():
    assert of_result(Result(plan(), None, (), 2, relays_behind=("mx1",))) == ExitStatus.PARTIAL


def test_a_failed_platform_makes_the_status_failed():
    assert of_result(Result(plan(), Outcome.FAILED, (), 2)) == ExitStatus.FAILED
