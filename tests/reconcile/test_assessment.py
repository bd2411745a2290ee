"""What a result leaves unsettled."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from sendroute.model.account_status import AccountStatus, Approval, StatusReason
from sendroute.model.change import AccountPlan, Action, DomainChange, ObjectChange, Plan
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Position, Where
from sendroute.model.outcome import AccountOutcome, Outcome, Result
from sendroute.planner.digest import digest
from sendroute.reconcile.assessment import Assessment, assess

KEY = AccountKey("acme", "acme")
NOW = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
CHANGE = DomainChange(KEY, "a.example.com", Action.DELETE, None, None, "removed", "It goes.")


def found(code: str) -> Finding:
    return finding(code, f"It is {code}.", where=Where("a.yaml", 0), account=KEY)


def result(
    outcome: Outcome,
    *codes: str,
    stopped: bool = False,
    changes: tuple[ObjectChange, ...] = (CHANGE,),
    added: tuple[str, ...] = (),
) -> Result:
    plan = AccountPlan(KEY, 3, changes, tuple(map(found, codes)), stopped=stopped)
    done = AccountOutcome(KEY, outcome, 3, tuple(map(found, added)))
    return Result(Plan("lineage", 3, None, (plan,)), None, (done,), 3)


def settled(
    done: Result,
    before: AccountStatus | None = None,
    *,
    at: datetime = NOW,
    only: frozenset[AccountKey] | None = None,
) -> Assessment:
    known = {} if before is None else {before.key: before}
    return assess(done, known, only, at, "c0ffee", lambda where: Position(where.file, 4, 2))


HELD_BACK = result(Outcome.REFUSED, "too-many-removals", stopped=True)


@pytest.mark.parametrize(
    ("done", "expected", "again"),
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
        "committed silently is settled",
        "advice leaves nothing unsettled",
        "a guard holds it back until it is approved",
        "an error in the manifests fails until they are fixed",
        "a store that cannot be written fails and is tried again",
        "a plan that went stale is tried again",
        "an apply-all waits for its confirmation",
        "a connection that failed is tried again",
        "a claim on another's domain waits",
        "a skip waits",
    ],
)
def test_how_an_account_is_left(done: Result, expected: StatusReason | None, again: bool) -> None:
    now = settled(done)
    assert now.now.get(KEY) == (now.written[0] if now.written else None)
    assert (now.now[KEY].outcome if KEY in now.now else None) is expected
    assert (KEY in now.again) is again


def test_what_is_held_back_can_be_reviewed() -> None:
    (standing,) = settled(HELD_BACK).written
    assert standing.digest == digest(HELD_BACK.plan.accounts[0])
    assert standing.report.summary == {"delete": 1}
    assert standing.report.steps[0].message == "It goes."
    assert standing.report.findings[0].place == "a.yaml:4:2"


def test_of_many_findings_the_first_are_kept_and_the_others_counted() -> None:
    codes = ["dependency-skipped"] * 100 + ["connection-test-failed"]
    (standing,) = settled(result(Outcome.COMMITTED, *codes)).written
    assert standing.report.findings[0].code == "connection-test-failed"
    assert len(standing.report.findings) + standing.report.more == 101


def test_what_stays_is_not_written_again_and_is_since_when_it_came() -> None:
    (first,) = settled(HELD_BACK).written
    later = settled(HELD_BACK, first, at=NOW + timedelta(hours=1))
    assert later.written == ()
    assert later.now[KEY].since == NOW


def test_what_is_settled_goes() -> None:
    (first,) = settled(HELD_BACK).written
    assert settled(result(Outcome.COMMITTED), first).cleared == {KEY}


def test_what_was_not_looked_at_stays() -> None:
    (first,) = settled(HELD_BACK).written
    nothing = Result(Plan("lineage", 3, None, ()), None, (), 3)
    assert settled(nothing, first, only=frozenset()).cleared == frozenset()
    assert settled(nothing, first).cleared == {KEY}, "of all, it is gone"


def test_what_was_not_tried_keeps_its_standing() -> None:
    (first,) = settled(HELD_BACK).written
    done = settled(result(Outcome.SKIPPED), first)
    assert (done.now[KEY], done.written, done.cleared) == (first, (), frozenset())


def test_an_approval_is_void_when_the_plan_is_another() -> None:
    (first,) = settled(HELD_BACK).written
    approved = replace(first, approval=Approval(str(first.digest), "ada", NOW))
    assert settled(HELD_BACK, approved).voided == ()
    other = replace(CHANGE, name="b.example.com")
    done = settled(
        result(Outcome.REFUSED, "too-many-removals", stopped=True, changes=(other,)), approved
    )
    assert done.voided == (approved,)
    assert done.now[KEY].approval is None


def test_an_approval_outlasts_a_store_that_could_not_be_written() -> None:
    (first,) = settled(HELD_BACK).written
    approved = replace(first, approval=Approval(str(first.digest), "ada", NOW))
    done = settled(result(Outcome.FAILED, added=("store-failed",)), approved)
    assert (done.now[KEY], done.voided, KEY in done.again) == (approved, (), True)
