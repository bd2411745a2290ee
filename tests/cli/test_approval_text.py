"""A held-back plan as `approve` shows it at a terminal."""

from datetime import UTC, datetime

import pytest

from sendroute.cli.approval import lines
from sendroute.model.account_status import AccountStatus, PlanStep, StatusReason, StatusReport
from sendroute.model.desired import AccountKey
from sendroute.reports.text import Console, width

DIGEST = "0123456789abcdef" * 4
STATUS = AccountStatus(
    AccountKey("acme", "acme"),
    StatusReason.HELD_BACK,
    StatusReport(
        summary={"reroute": 1, "update": 1},
        steps=(
            PlanStep(
                "SendingDomain",
                "shop.example.com",
                "reroute",
                "The manifest of shop.example.com declares profile mailgun.",
                "profile ses → profile mailgun",
            ),
            PlanStep("SMTPProfile", "ses", "update", "Its port changes.", "port 587 → 465"),
        ),
    ),
    datetime(2026, 11, 28, 19, 30, tzinfo=UTC),
    DIGEST,
)


@pytest.mark.parametrize("columns", [25, 40, 60, 100, None])
def test_each_change_shows_from_and_to_and_fits_the_terminal(columns: int | None) -> None:
    shown = "".join(lines(STATUS, Console(columns=columns))).splitlines()
    joined = " ".join(" ".join(shown).split())
    assert "reroute shop.example.com profile ses → profile mailgun The manifest of" in joined
    assert "update profile ses port 587 → 465 Its port changes." in joined
    assert any(DIGEST in line for line in shown), "it can be copied"
    if columns is not None:
        assert all(width(line) <= columns for line in shown if DIGEST not in line)
