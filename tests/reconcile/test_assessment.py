"""The account status after a result."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from sendroute.model.account_status import (
    AccountStatus,
    Approval,
    ReportedFinding,
    StatusReason,
)
from sendroute.model.change import AccountPlan, Action, DomainChange, ObjectChange, Plan
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Position, Severity, Where
from sendroute.model.outcome import AccountOutcome, Outcome, Result
from sendroute.model.owner import PLATFORM
from sendroute.model.waiting import Wait
from sendroute.planner.digest import digest
from sendroute.reconcile.assessment import Assessment, assess

KEY = AccountKey("acme", "acme")
NOW = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
CHANGE = DomainChange(KEY, "a.example.com", Action.DELETE, None, None, "removed", "It goes.")


def problem(code: str) -> Finding:
    return finding(code, f"It is {code}.", where=Where("a.yaml", 0), account=KEY)


def result(
    outcome: Outcome,
    *codes: str,
    stopped: bool = False,
    changes: tuple[ObjectChange, ...] = (CHANGE,),
    added: tuple[str, ...] = (),
) -> Result:
    plan = AccountPlan(KEY, 3, changes, tuple(map(problem, codes)), stopped=stopped)
    account_outcome = AccountOutcome(KEY, outcome, 3, tuple(map(problem, added)))
    return Result(Plan("lineage", 3, None, (plan,)), None, (account_outcome,), 3)


def assess_result(
    result: Result,
    before: AccountStatus | None = None,
    *,
    at: datetime = NOW,
    only: frozenset[AccountKey] | None = None,
) -> Assessment:
    known = {} if before is None else {before.key: before}
    return assess(result, known, only, at, "c0ffee", lambda where: Position(where.file, 4, 2))


HELD_BACK = result(Outcome.REFUSED, "too-many-removals", stopped=True)


@pytest.mark.parametrize(
    ("result", "expected", "retried"),
    [
        (result(Outcome.COMMITTED), None, False),
        (result(Outcome.UNCHANGED, "profile-unused"), None, False),
        (HELD_BACK, StatusReason.HELD_BACK, False),
        (result(Outcome.FAILED, "unknown-profile", stopped=True), StatusReason.FAILED, False),
        (result(Outcome.FAILED, added=("store-failed",)), StatusReason.FAILED, True),
        (result(Outcome.REFUSED, added=("stale-plan",)), StatusReason.REFUSED, True),
        (result(Outcome.COMMITTED, "awaiting-confirmation"), StatusReason.REFUSED, False),
        (result(Outcome.COMMITTED, "connection-test-failed"), StatusReason.SKIPPED, True),
        (result(Outcome.COMMITTED, "domain-conflict"), StatusReason.SKIPPED, False),
        (
            result(Outcome.UNCHANGED, changes=(replace(CHANGE, action=Action.SKIP),)),
            StatusReason.SKIPPED,
            False,
        ),
    ],
    ids=[
        "a commit without findings is settled",
        "advice is fully applied",
        "a guard holds the account back until it is approved",
        "an error in the manifests fails until they are fixed",
        "an unwritable store fails and is retried",
        "a stale plan is retried",
        "an apply-all waits for its confirmation",
        "a failed connection test is retried",
        "a domain conflict waits",
        "a skip waits",
    ],
)
def test_each_outcome_leads_to_its_account_status(
    result: Result, expected: StatusReason | None, retried: bool
) -> None:
    assessment = assess_result(result)
    assert assessment.statuses.get(KEY) == (assessment.written[0] if assessment.written else None)
    assert (assessment.statuses[KEY].reason if KEY in assessment.statuses else None) is expected
    assert (KEY in assessment.retryable) is retried


def test_a_held_back_status_contains_the_plan_for_review() -> None:
    (status,) = assess_result(HELD_BACK).written
    assert status.digest == digest(HELD_BACK.plan.accounts[0])
    assert status.report.summary == {"delete": 1}
    assert status.report.steps[0].message == "It goes."
    assert status.report.findings[0].position == Position("a.yaml", 4, 2)


def test_many_findings_are_truncated_and_counted() -> None:
    codes = ["dependency-skipped"] * 100 + ["connection-test-failed"]
    (status,) = assess_result(result(Outcome.COMMITTED, *codes)).written
    assert status.report.findings[0].code == "connection-test-failed"
    assert len(status.report.findings) + status.report.more == 101


SES = Wait("profile ses, which was not saved", "not created yet")


def waiting(domain: str, wait: Wait, words: str | None = None) -> Finding:
    message = wait.of(domain) if words is None else words
    return finding("dependency-skipped", message, account=KEY, domain=domain, wait=wait)


def with_findings(*findings: Finding) -> Result:
    plan = AccountPlan(KEY, 3, (replace(CHANGE, action=Action.SKIP),), findings)
    outcome = AccountOutcome(KEY, Outcome.UNCHANGED, 3)
    return Result(Plan("lineage", 3, None, (plan,)), None, (outcome,), 3)


@pytest.mark.parametrize("words", [None, "Reworded.", "", "x waits for y: z."])
def test_domains_that_wait_for_the_same_thing_are_one_finding_whatever_their_messages_say(
    words: str | None,
) -> None:
    mailgun = replace(SES, obstacle="profile mailgun, which was not saved")
    names = [f"d{number:04}.example" for number in range(1200)]
    findings = [waiting(name, SES, words) for name in names]
    (status,) = assess_result(with_findings(*findings, waiting("x.example", mailgun))).written
    together, alone = status.report.findings
    assert together.message == (
        "1,200 domains wait for profile ses, which was not saved: not created yet."
    )
    assert (together.domain, together.wait) == (None, SES)
    assert (together.domains, together.more_domains) == (tuple(names[:1000]), 200)
    assert alone.message == (
        "x.example waits for profile mailgun, which was not saved: not created yet."
    )
    assert (alone.domain, alone.domains, alone.wait) == ("x.example", (), mailgun)


def test_findings_without_a_wait_are_listed_each_although_they_read_like_one() -> None:
    findings = [
        replace(waiting(f"{name}.example", SES), domain=None, wait=None) for name in ("a", "b")
    ]
    (status,) = assess_result(with_findings(*findings)).written
    assert [item.message for item in status.report.findings] == [item.message for item in findings]


def test_a_status_of_an_earlier_version_gets_its_data_and_keeps_its_time() -> None:
    left_open = with_findings(waiting("a.example", SES))
    (status,) = assess_result(left_open).written
    (item,) = status.report.findings
    bare = replace(status.report, findings=(replace(item, domain=None, wait=None),))
    later = assess_result(left_open, replace(status, report=bare), at=NOW + timedelta(hours=1))
    assert later.written == (status,)
    reworded = with_findings(waiting("a.example", replace(SES, consequence="still on managed")))
    (changed,) = assess_result(reworded, status, at=NOW + timedelta(hours=1)).written
    assert changed.since == NOW + timedelta(hours=1)


def test_an_unchanged_status_keeps_its_time_and_is_not_written_again() -> None:
    (status,) = assess_result(HELD_BACK).written
    later = assess_result(HELD_BACK, status, at=NOW + timedelta(hours=1))
    assert later.written == ()
    assert later.statuses[KEY].since == NOW


def test_the_status_of_a_settled_account_is_cleared() -> None:
    (status,) = assess_result(HELD_BACK).written
    assert assess_result(result(Outcome.COMMITTED), status).cleared == {KEY}


def test_the_status_of_an_account_outside_the_round_stays() -> None:
    (status,) = assess_result(HELD_BACK).written
    nothing = Result(Plan("lineage", 3, None, ()), None, (), 3)
    assert assess_result(nothing, status, only=frozenset()).cleared == frozenset()
    assert assess_result(nothing, status).cleared == {KEY}, (
        "a removed account is cleared by a full round"
    )


def test_a_skipped_account_keeps_its_status() -> None:
    (status,) = assess_result(HELD_BACK).written
    assessment = assess_result(result(Outcome.SKIPPED), status)
    assert (assessment.statuses[KEY], assessment.written, assessment.cleared) == (
        status,
        (),
        frozenset(),
    )


def test_an_approval_is_void_if_the_plan_changed() -> None:
    (status,) = assess_result(HELD_BACK).written
    approved = replace(status, approval=Approval(str(status.digest), "ada", NOW))
    assert assess_result(HELD_BACK, approved).voided_approvals == ()
    other = replace(CHANGE, name="b.example.com")
    assessment = assess_result(
        result(Outcome.REFUSED, "too-many-removals", stopped=True, changes=(other,)), approved
    )
    assert assessment.voided_approvals == (approved,)
    assert assessment.statuses[KEY].approval is None


def test_an_approval_remains_after_a_store_failure() -> None:
    (status,) = assess_result(HELD_BACK).written
    approved = replace(status, approval=Approval(str(status.digest), "ada", NOW))
    assessment = assess_result(result(Outcome.FAILED, added=("store-failed",)), approved)
    assert (assessment.statuses[KEY], assessment.voided_approvals, KEY in assessment.retryable) == (
        approved,
        (),
        True,
    )


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("yaml-syntax", StatusReason.SKIPPED),
        ("older-tree", StatusReason.REFUSED),
        ("secret-in-manifests", None),
    ],
)
def test_what_belongs_to_no_account_is_left_open_by_the_platform(
    code: str, reason: StatusReason | None
) -> None:
    general = finding(code, f"It is {code}.", where=Where("stray.yaml", 0))
    plan = Plan("lineage", 3, None, (), findings=(general,))
    assessment = assess_result(Result(plan, None, (), 3))
    assert [status.reason for status in assessment.written] == ([reason] if reason else [])
    assert assessment.retryable == frozenset(), "only an edit helps"
    if reason is not None:
        assert assessment.statuses[PLATFORM].report.findings[0].position == Position(
            "stray.yaml", 4, 2
        )
        fixed = assess_result(result(Outcome.UNCHANGED), assessment.statuses[PLATFORM])
        assert fixed.cleared == {PLATFORM}


def test_a_contest_that_was_added_to_a_status_does_not_change_its_time() -> None:
    skipped = result(Outcome.COMMITTED, "connection-test-failed")
    (status,) = assess_result(skipped).written
    contest = ReportedFinding("contested-account", Severity.ERROR, "It is reverted.")
    report = replace(status.report, findings=(*status.report.findings, contest))
    later = assess_result(skipped, replace(status, report=report), at=NOW + timedelta(hours=1))
    assert later.written == (status,), "the contest is added again after the round, if it lasts"
