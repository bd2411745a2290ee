"""How long each further repair of another writer's change waits."""

from datetime import UTC, datetime

from msgspec.structs import replace

from sendroute.model.account_status import (
    AccountStatus,
    ReportedFinding,
    StatusReason,
    StatusReport,
)
from sendroute.model.codes import Code
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Severity
from sendroute.model.followed_source import FollowedSource
from sendroute.model.outcome import Outcome
from sendroute.model.owner import PLATFORM
from sendroute.model.provenance import AccountRevision
from sendroute.runtime.contests import Contests

KEY = AccountKey("acme", "acme")
OTHER = AccountKey("bolt", "bolt")
WRITER = AccountRevision(7, "ci@build2", "1a2b3c4")
AT = datetime(2026, 11, 29, tzinfo=UTC)
INTERVAL = 300.0
CONTESTED = Code.CONTESTED_ACCOUNT


def new_contests() -> Contests:
    return Contests(INTERVAL, lambda: 1.0)


def repair(contests: Contests, now: float, outcome: Outcome = Outcome.COMMITTED) -> None:
    contests.changed({KEY: WRITER})
    assert KEY in contests.take_due(now)
    contests.reconciled({KEY: outcome}, (), now, AT)


def fight(contests: Contests, times: int) -> list[float]:
    """The other writer changes the account as soon as it is repaired. Returns the waits."""
    now, waits = 0.0, []
    for _ in range(times):
        contests.changed({KEY: WRITER})
        then = max(now, contests.next())
        waits.append(then - now)
        now = then
        repair(contests, now)
    return waits


def test_the_waits_grow_up_to_the_interval() -> None:
    waits = fight(new_contests(), 15)
    assert waits[:7] == [0, 0, 0, 1, 2, 4, 8]
    assert waits[-3:] == [INTERVAL] * 3


def test_two_changes_in_a_row_are_no_contest() -> None:
    contests = new_contests()
    fight(contests, 2)
    assert contests.contested == {}
    assert contests.statuses({}, ()) == []


def test_only_the_contested_account_waits() -> None:
    contests = new_contests()
    fight(contests, 6)
    contests.changed({KEY: WRITER, OTHER: WRITER})
    assert contests.take_due(8.0) == {OTHER}
    assert contests.take_due(8.0) == frozenset(), "each is reported once"
    assert contests.take_due(1000.0) == {KEY}


def test_a_change_of_ours_alone_is_no_contest() -> None:
    contests = new_contests()
    for now in range(9):
        contests.reconciled({KEY: Outcome.COMMITTED}, (), now, AT)
    assert contests.contested == {}


def test_a_contest_ends_after_three_quiet_intervals() -> None:
    contests = new_contests()
    fight(contests, 3)
    contests.reconciled({}, (), 3 * INTERVAL, AT)
    assert contests.contested
    contests.reconciled({}, (), 3 * INTERVAL + 1, AT)
    assert not contests.contested
    repair(contests, 3 * INTERVAL + 2)


def test_a_contest_ends_with_an_edit_or_if_the_other_writer_agrees() -> None:
    contests = new_contests()
    fight(contests, 3)
    contests.reconciled({KEY: Outcome.COMMITTED}, {KEY}, 1.0, AT)
    assert not contests.contested
    fight(contests, 3)
    repair(contests, 2.0, Outcome.UNCHANGED)
    assert not contests.contested


def test_a_third_writer_that_puts_it_back_first_ends_no_contest() -> None:
    contests = new_contests()
    fight(contests, 3)
    contests.changed({KEY: replace(WRITER, revision=9, source_commit="5d6e7f8")})
    contests.reconciled({KEY: Outcome.UNCHANGED}, (), 2.0, AT)
    assert contests.contested


def test_the_status_names_the_other_writer_and_replaces_nothing_held_back() -> None:
    contests = new_contests()
    fight(contests, 3)
    sources = [
        FollowedSource("git@a", "1a2b3c4"),
        FollowedSource("git@stopped", "1a2b3c4", stopped_at=AT),
        FollowedSource("git@b", "5d6e7f8"),
    ]
    [status] = contests.statuses({}, sources)
    assert status.reason is StatusReason.CONTESTED
    [problem] = status.report.findings
    assert "by ci@build2 from commit 1a2b3c4 (a loop follows git@a)." in problem.message
    assert contests.statuses({KEY: status}, sources) == []
    held = AccountStatus(KEY, StatusReason.HELD_BACK, StatusReport(), AT, "digest")
    assert contests.statuses({KEY: held}, sources) == []


def test_a_platform_that_is_changed_back_is_contested_too() -> None:
    contests = new_contests()
    for now in (0.0, 1.0, 2.0):
        contests.changed({PLATFORM: WRITER})
        assert contests.take_due(now) == {PLATFORM}
        contests.reconciled({PLATFORM: Outcome.COMMITTED}, (), now, AT)
    [status] = contests.statuses({}, ())
    assert (status.key, status.reason) == (PLATFORM, StatusReason.CONTESTED)
    [problem] = status.report.findings
    assert problem.message.startswith(
        "The platform is reverted each time that Sendroute applies it,"
    )


def test_a_contest_is_shown_beside_what_else_is_left_open() -> None:
    """A broken file leaves the platform's status open, and the rest is applied: a contest must not
    disappear behind it, nor the file behind the contest."""
    contests = new_contests()
    for now in (0.0, 1.0, 2.0):
        contests.changed({KEY: WRITER, PLATFORM: WRITER})
        contests.reconciled({KEY: Outcome.COMMITTED, PLATFORM: Outcome.COMMITTED}, (), now, AT)
    broken = ReportedFinding("yaml-syntax", Severity.ERROR, "The file is no YAML.")
    for reason in (StatusReason.SKIPPED, StatusReason.REFUSED):
        stored = {
            owner: AccountStatus(owner, reason, StatusReport((broken,), more=2), AT)
            for owner in (KEY, PLATFORM)
        }
        account, platform = contests.statuses(stored, ())
        assert [item.code for item in account.report.findings] == ["yaml-syntax", CONTESTED]
        assert (account.reason, account.report.more) == (reason, 2), "a person must act first"
        assert [item.code for item in platform.report.findings] == [CONTESTED, "yaml-syntax"]
        assert (platform.reason, platform.report.more) == (StatusReason.CONTESTED, 2)
        assert contests.statuses({KEY: account, PLATFORM: platform}, ()) == [], "written once"


def test_only_a_contested_platform_must_wait() -> None:
    contests = new_contests()
    assert not contests.must_wait(PLATFORM, 0.0)
    for now in (0.0, 1.0, 2.0, 3.0):
        contests.changed({PLATFORM: WRITER})
        contests.reconciled({PLATFORM: Outcome.COMMITTED}, (), now, AT)
    assert contests.must_wait(PLATFORM, 3.5)
    assert not contests.must_wait(PLATFORM, 100.0)
    assert not contests.must_wait(KEY, 3.5)
