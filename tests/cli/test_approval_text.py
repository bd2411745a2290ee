"""A held-back plan as `approve` shows it at a terminal."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from sendroute.cli.approval import lines
from sendroute.model.account_status import (
    AccountStatus,
    PlanStep,
    ReportedFinding,
    StatusReason,
    StatusReport,
)
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Position, Severity
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


def test_similar_changes_are_aligned_and_grouped_as_in_a_plan() -> None:
    names = ["shop.example.com", "a.example.com", *(f"d{n}.example.com" for n in range(3))]
    steps = [
        PlanStep(
            "SendingDomain",
            name,
            "delete",
            f"The manifests no longer declare {name}.",
            "managed → none",
            "removed",
        )
        for name in names
    ]
    steps.insert(
        1, PlanStep("SMTPProfile", "ses", "update", "It changed.", "port 1 → 2", "declared")
    )
    shown = "".join(lines(replace(STATUS, report=StatusReport(steps=tuple(steps))), Console()))
    assert [line for line in shown.splitlines() if " → " in line or "declare" in line] == [
        "  delete    shop.example.com  managed → none",
        "  delete    a.example.com     managed → none",
        "  delete    d0.example.com    managed → none",
        "  delete    d1.example.com    managed → none",
        "  delete    d2.example.com    managed → none",
        "            removed: The manifests no longer declare each.",
        "  update    profile ses       port 1 → 2      declared: It changed.",
    ]


def test_the_changes_beyond_the_stored_ones_are_counted() -> None:
    status = replace(STATUS, report=replace(STATUS.report, summary={"reroute": 1234}))
    assert "  … and 1,232 more changes\n" in "".join(lines(status, Console()))


def test_a_finding_shows_its_position() -> None:
    at = Position("manifests/acme.yaml", 7, 3)
    refusal = ReportedFinding("too-many-changes", Severity.REFUSED, "Too many.", position=at)
    status = replace(STATUS, report=replace(STATUS.report, findings=(refusal,)))
    assert "too-many-changes  manifests/acme.yaml:7:3" in "".join(lines(status, Console()))
