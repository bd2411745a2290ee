"""The status of accounts with a pending change, and approvals."""

from datetime import UTC, datetime

from msgspec.structs import replace

from sendroute.model.account_status import (
    AccountStatus,
    Approval,
    PlanStep,
    ReportedFinding,
    StatusReason,
    StatusReport,
)
from sendroute.model.current import DomainState
from sendroute.model.finding import Position, Severity
from sendroute.model.followed_source import FollowedSource
from sendroute.model.owner import PLATFORM
from sendroute.model.provenance import AccountRevision
from sendroute.model.remedy import Approve, Configure, Setting
from sendroute.model.route import MANAGED, Origin
from sendroute.store.record import Store

from .conftest import Say

SINCE = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
REPORT = StatusReport(
    (
        ReportedFinding(
            "too-many-removals",
            Severity.REFUSED,
            "Too many.",
            "Approve it.",
            Position("a.yaml", 7, 3),
            Approve("acme", "acme"),
        ),
        ReportedFinding(
            "secret-not-compared",
            Severity.INFO,
            "Not compared.",
            "Give the key.",
            remedy=Configure(Setting.KEY),
        ),
    ),
    3,
    {"delete": 11},
    (PlanStep("SendingDomain", "a.example.com", "delete", "It goes."),),
)


def held_back(say: Say, digest: str = "d1") -> AccountStatus:
    return AccountStatus(say.key, StatusReason.HELD_BACK, REPORT, SINCE, digest, "c0ffee")


def test_account_statuses_are_read_as_written(store: Store, say: Say, other: Say) -> None:
    failed = AccountStatus(other.key, StatusReason.FAILED, StatusReport(), SINCE)
    store.write_account_statuses([held_back(say), failed], ())
    assert store.account_statuses() == {say.key: held_back(say), other.key: failed}
    store.write_account_statuses((), {other.key})
    assert store.account_statuses() == {say.key: held_back(say)}


def test_followed_sources_are_read_as_written(store: Store) -> None:
    head = store.head()
    good = FollowedSource("manifests/", None, SINCE)
    faulty = FollowedSource(
        "https://git.example.com/mail.git", "c0ffee", SINCE, REPORT.findings, SINCE
    )
    for source in (faulty, good):
        store.write_followed_source(source)
    assert store.followed_sources() == (faulty, good)
    repaired = FollowedSource(faulty.name, "beef", SINCE)
    store.write_followed_source(repaired)
    assert store.followed_sources() == (repaired, good)
    stopped = replace(repaired, seen_at=SINCE, stopped_at=SINCE)
    store.write_followed_source(stopped)
    assert store.followed_sources() == (stopped, good)
    store.forget_followed_source(good.name)
    store.forget_followed_source("unknown")
    assert store.followed_sources() == (stopped,)
    assert store.head() == head


def test_account_status_creates_no_revision(store: Store, say: Say) -> None:
    before = store.head()
    store.write_account_statuses([held_back(say)], ())
    assert store.head() == before


def test_approval_is_a_revision_with_its_actor(store: Store, say: Say) -> None:
    store.write_account_statuses([held_back(say)], ())
    before = store.head()
    assert store.approve(held_back(say), say.provenance)
    (standing,) = store.account_statuses().values()
    assert standing.approval == Approval("d1", "ada", say.provenance.at)
    assert standing.approved
    entry = store.history(owner=say.key)[0]
    assert (entry.actor, entry.action, entry.reason) == ("ada", "approve", "approved")
    assert entry.revision == before.revision + 1
    assert "d1" in entry.message
    assert "11 to delete" in entry.message


def test_changed_plan_is_not_approved(store: Store, say: Say) -> None:
    store.write_account_statuses([held_back(say, "d2")], ())
    before = store.head()
    assert not store.approve(held_back(say, "d1"), say.provenance)
    assert store.head() == before
    assert store.account_statuses()[say.key].approval is None


def test_concurrent_write_keeps_the_approval_of_the_same_plan(store: Store, say: Say) -> None:
    store.write_account_statuses([held_back(say)], ())
    store.approve(held_back(say), say.provenance)
    again = replace(held_back(say), commit="another")
    store.write_account_statuses([again], ())
    assert store.account_statuses()[say.key].approved, "the writer had read it before the approval"
    store.write_account_statuses([held_back(say, "d2")], ())
    assert store.account_statuses()[say.key].approval is None, "another plan"


def test_failed_account_loses_its_approval(store: Store, say: Say) -> None:
    store.write_account_statuses([held_back(say)], ())
    store.approve(held_back(say), say.provenance)
    store.write_account_statuses(
        [AccountStatus(say.key, StatusReason.FAILED, StatusReport(), SINCE)], ()
    )
    assert store.account_statuses()[say.key].approval is None


def test_commit_of_an_account_removes_its_status(store: Store, say: Say, other: Say) -> None:
    store.write_account_statuses([held_back(say), held_back(other)], ())
    store.commit([say.start("a.example.com")], None, say.provenance)
    assert list(store.account_statuses()) == [other.key]


def test_changed_since_lists_the_changed_accounts(store: Store, say: Say, other: Say) -> None:
    first = store.commit([say.start("a.example.com")], None, say.provenance)
    second = store.commit([other.start("b.example.com")], None, say.provenance)
    by = (say.provenance.actor, say.provenance.source_commit)
    of_other = {other.key: AccountRevision(second, *by)}
    assert store.changed_since(0) == {say.key: AccountRevision(first, *by)} | of_other
    assert store.changed_since(first) == of_other
    before = DomainState(MANAGED, Origin.DEFAULT)
    third = store.commit(
        [say.plan(first, say.domain("a.example.com", before, say.through("ses")))],
        None,
        say.provenance,
    )
    assert store.changed_since(second) == {say.key: AccountRevision(third, *by)}


def test_changed_since_lists_a_changed_platform(store: Store, say: Say) -> None:
    first = store.commit([], say.platform_change(None, say.platform), say.provenance)
    second = store.commit([say.start("a.example.com")], None, say.provenance)
    by = (say.provenance.actor, say.provenance.source_commit)
    assert store.changed_since(0)[PLATFORM] == AccountRevision(first, *by)
    assert store.changed_since(first).keys() == {say.key}
    other = replace(say.platform, plans=())
    third = store.commit([], say.platform_change(say.platform, other), say.provenance)
    assert store.changed_since(0)[PLATFORM] == AccountRevision(third, *by)
    assert store.changed_since(second) == {PLATFORM: AccountRevision(third, *by)}
