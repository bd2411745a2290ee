"""Why a domain does not have yet what the manifests say: from the account statuses alone."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sendroute.model.account_status import AccountStatus, ReportedFinding
from sendroute.model.change import Kind
from sendroute.model.finding import Severity
from sendroute.model.words import PREDICATES


class PendingChange(NamedTuple):
    """A change of a domain that was not applied. ``message`` says what became of it, ``causes`` are
    the findings because of which, as they were reported."""

    status: AccountStatus
    message: str
    causes: tuple[ReportedFinding, ...]


def pending_change(domain: str, statuses: Iterable[AccountStatus]) -> PendingChange | None:
    """Find out whether a change of a domain waits for something.

    Args:
        domain: the domain as an A-label.
        statuses: the statuses of the accounts that were not applied completely.

    Returns:
        The change; None if no status names the domain.
    """
    for status in statuses:
        pending = _skipped(domain, status) or _held_back(domain, status) or _named(domain, status)
        if pending is not None:
            return pending
    return None


def _skipped(domain: str, status: AccountStatus) -> PendingChange | None:
    for finding in status.report.findings:
        if finding.wait is not None and domain in (finding.domain, *finding.domains):
            message = finding.wait.of(domain)
        elif domain in finding.domains:  # a status of an earlier version
            message = finding.message
        else:
            continue
        waits_for = finding.wait.profile if finding.wait is not None else None
        return PendingChange(status, message, tuple(_errors(domain, waits_for, status)))
    return None


def _errors(domain: str, waits_for: str | None, status: AccountStatus) -> Iterator[ReportedFinding]:
    """The errors of an account without those of another domain, and of another profile than the one
    that the domain waits for."""
    for item in status.report.findings:
        is_other = waits_for is not None and item.profile not in (None, waits_for)
        if item.severity is Severity.ERROR and item.domain in (None, domain) and not is_other:
            yield item


def _held_back(domain: str, status: AccountStatus) -> PendingChange | None:
    for step in status.report.steps:
        if (step.kind, step.name) == (Kind.DOMAIN, domain):
            message = (
                f"The change of account {status.key} {PREDICATES[status.reason]}: {step.message}"
            )
            return PendingChange(status, message, status.report.findings)
    return None


def _named(domain: str, status: AccountStatus) -> PendingChange | None:
    """Another finding about the domain, for example a conflict or an error in its document."""
    causes = tuple(item for item in status.report.findings if item.domain == domain)
    if not causes:
        return None
    message = f"The change of account {status.key} {PREDICATES[status.reason]}."
    return PendingChange(status, message, causes)
