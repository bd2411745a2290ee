"""What the log of a process that runs for long says of accounts and the platform."""

from datetime import UTC, datetime

import pytest

from sendroute.model.account_status import AccountStatus, StatusReason, StatusReport, reported
from sendroute.model.change import Plan
from sendroute.model.codes import finding
from sendroute.model.outcome import Result
from sendroute.model.owner import PLATFORM
from sendroute.runtime.account_log import AccountLog

NOW = datetime(2026, 11, 28, 10, tzinfo=UTC)


def status(reason: StatusReason) -> AccountStatus:
    report = StatusReport((reported(finding("store-failed", "The disk is full.")),))
    return AccountStatus(PLATFORM, reason, report, NOW)


@pytest.mark.parametrize("later", [StatusReason.SKIPPED, StatusReason.REFUSED])
def test_a_platform_that_is_still_left_open_is_not_called_applied(
    later: StatusReason, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    log = AccountLog(lambda item: item)
    result = Result(plan=Plan("", 1, None, ()), accounts=(), platform=None, revision=1)
    for reason in (StatusReason.FAILED, later):
        log.round_completed(result, {}, {}, (), {PLATFORM: status(reason)})
    assert "The platform failed: The disk is full." in caplog.text
    assert "fully applied" not in caplog.text
    log.round_completed(result, {}, {}, (), {PLATFORM: status(StatusReason.FAILED)})
    log.round_completed(result, {}, {}, (), {})
    assert "The platform is fully applied." in caplog.text


def test_a_problem_that_another_revision_still_has_is_neither_new_nor_fixed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    log = AccountLog(lambda item: item)

    def round_with(*messages: str) -> list[str]:
        caplog.clear()
        findings = (finding("wrong-store", message) for message in messages)
        plan = Plan("", 1, None, (), findings=tuple(findings))
        result = Result(plan=plan, accounts=(), platform=None, revision=1)
        log.round_completed(result, {}, {}, (), {})
        return [record.getMessage() for record in caplog.records]

    old = "a.lock was written at revision 7, and the store is at revision 8: old."
    older = "a.lock was written at revision 7, and the store is at revision 9: old."
    other = "b.lock was written at revision 7, and the store is at revision 9: old."
    assert round_with(old) == [old]
    assert round_with(older) == []
    assert round_with(older, other) == [other]
    assert round_with(other) == [f"Fixed: {older}"]
