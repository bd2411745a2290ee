"""Why a domain does not have yet what the manifests say: from the data of a status."""

from datetime import UTC, datetime

import msgspec
import pytest
from msgspec.structs import replace

from sendroute.delivery.pending import PendingChange, pending_change
from sendroute.model.account_status import (
    AccountStatus,
    ReportedFinding,
    StatusReason,
    StatusReport,
)
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Severity
from sendroute.model.waiting import Wait

SES = Wait("profile ses, which was not saved", "not created yet")
REFUSED = ReportedFinding("secret-not-found", Severity.ERROR, "There is no secret.")


def pending(domain: str, *findings: ReportedFinding) -> PendingChange | None:
    status = AccountStatus(
        AccountKey("acme", "acme"),
        StatusReason.SKIPPED,
        StatusReport(findings),
        datetime(2026, 11, 23, tzinfo=UTC),
    )
    return pending_change(domain, [status])


def skipped(message: str, domain: str | None, *domains: str) -> ReportedFinding:
    return ReportedFinding(
        "dependency-skipped", Severity.WARNING, message, domain=domain, domains=domains, wait=SES
    )


@pytest.mark.parametrize("words", ["a.example waits for profile ses: no.", "Reworded.", ""])
@pytest.mark.parametrize("domains", [(), ("a.example", "b.example")], ids=["alone", "together"])
def test_a_domain_that_waits_is_recognised_whatever_the_message_says(
    words: str, domains: tuple[str, ...]
) -> None:
    finding = skipped(words, None if domains else "a.example", *domains)
    change = pending("a.example", REFUSED, finding)
    assert change is not None
    assert change.message == (
        "a.example waits for profile ses, which was not saved: not created yet."
    )
    assert change.causes == (REFUSED,)
    assert pending("c.example", finding) is None


def test_errors_of_other_profiles_and_domains_are_no_causes() -> None:
    ses, sendgrid, neither = (
        ReportedFinding("secret-missing", Severity.ERROR, "There is no secret.", profile=profile)
        for profile in ("ses", "sendgrid", None)
    )
    conflict = ReportedFinding("domain-conflict", Severity.ERROR, "Taken.", domain="b.example")
    finding = skipped("a.example waits.", "a.example")
    for waits_for, causes in (("ses", (ses, neither)), (None, (ses, sendgrid, neither))):
        waiting = replace(finding, wait=replace(SES, profile=waits_for))
        change = pending("a.example", ses, sendgrid, neither, conflict, waiting)
        assert change is not None
        assert change.causes == causes


@pytest.mark.parametrize("words", ["both.example belongs to account x/y.", "Reworded."])
def test_a_finding_about_the_domain_is_a_cause_whatever_its_message_says(words: str) -> None:
    conflict = ReportedFinding("domain-conflict", Severity.ERROR, words, domain="both.example")
    change = pending("both.example", REFUSED, conflict)
    assert change is not None
    assert change.causes == (conflict,)


def test_a_message_that_only_mentions_a_domain_is_not_about_it() -> None:
    mentions = ReportedFinding("unreadable", Severity.ERROR, "The file a.example cannot be read.")
    assert pending("a.example", mentions) is None
    assert pending("a.example", skipped("a.example waits for x: y.", "b.example")) is None


def test_a_status_of_an_earlier_version_names_the_domains_that_wait_together() -> None:
    sentence = "2 domains wait for profile ses, which was not saved: not created yet."
    stored = (
        f'{{"code":"dependency-skipped","severity":"warning","message":"{sentence}",'
        '"domains":["a.example","b.example"]}'
    )
    earlier = msgspec.json.decode(stored, type=ReportedFinding)
    assert (earlier.domain, earlier.wait) == (None, None)
    change = pending("b.example", earlier)
    assert change is not None
    assert change.message == sentence
