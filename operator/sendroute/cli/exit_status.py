"""The exit status, derived in one place from findings, plans and results (docs/commands.md)."""

from collections.abc import Iterable
from enum import IntEnum

from sendroute.model.change import Action, Plan
from sendroute.model.codes import Trait, has_trait, why_not_saved
from sendroute.model.finding import Finding, Severity
from sendroute.model.outcome import Outcome, Result


class ExitStatus(IntEnum):
    FINE = 0
    FAILED = 1
    PENDING = 2
    REFUSED = 3
    PARTIAL = 4
    USAGE = 64


MOST_SEVERE_FIRST = (
    ExitStatus.FAILED,
    ExitStatus.REFUSED,
    ExitStatus.PARTIAL,
    ExitStatus.PENDING,
    ExitStatus.FINE,
)


def of_findings(findings: Iterable[Finding], *, strict: bool = False) -> ExitStatus:
    """The exit status of ``validate``, or of a command that a problem ended. Nothing was to be
    applied, so nothing that waits is left out.

    Args:
        findings: every finding.
        strict: warnings fail the command.
    """
    reasons = {_of_finding(item) for item in findings if not has_trait(item.code, Trait.SKIPPED)}
    if strict and any(finding.severity is Severity.WARNING for finding in findings):
        reasons.add(ExitStatus.FAILED)
    return _most_severe(reasons)


def of_plan(plan: Plan, *, detailed: bool = False) -> ExitStatus:
    """The exit status of ``plan``: that of ``apply`` with the same options, as far as the plan
    shows it. With ``detailed``, a plan with changes is PENDING instead of FINE."""
    reasons = {_of_finding(finding) for finding in plan.all_findings} | {_of_skips(plan)}
    if detailed and (plan.platform or any(account.changes for account in plan.accounts)):
        reasons.add(ExitStatus.PENDING)
    return _most_severe(reasons)


def of_result(result: Result) -> ExitStatus:
    """The exit status of ``apply`` and ``restore``."""
    reasons = {_of_finding(finding) for finding in result.plan.all_findings}
    reasons.update(_of_finding(finding) for finding in result.findings)
    for account in result.accounts:
        reasons.add(_OF_OUTCOME[account.outcome])
        reasons.update(_of_finding(finding) for finding in account.findings)
    if result.platform is not None:
        reasons.add(_OF_OUTCOME[result.platform])
    if result.relays_behind:
        reasons.add(ExitStatus.PARTIAL)
    return _most_severe(reasons | {_of_skips(result.plan)})


_OF_OUTCOME = {
    Outcome.COMMITTED: ExitStatus.FINE,
    Outcome.UNCHANGED: ExitStatus.FINE,
    Outcome.REFUSED: ExitStatus.REFUSED,
    Outcome.FAILED: ExitStatus.FAILED,
    Outcome.SKIPPED: ExitStatus.PARTIAL,
}


def _of_finding(finding: Finding) -> ExitStatus:
    if finding.severity is Severity.REFUSED:
        return ExitStatus.REFUSED
    if has_trait(finding.code, Trait.SKIPPED):
        return ExitStatus.PARTIAL
    if finding.severity is Severity.ERROR:
        return ExitStatus.PARTIAL if why_not_saved(finding.code) else ExitStatus.FAILED
    return ExitStatus.FINE


def _of_skips(plan: Plan) -> ExitStatus:
    skips = any(
        change.action is Action.SKIP for account in plan.accounts for change in account.changes
    ) or (plan.platform is not None and plan.platform.action is Action.SKIP)
    return ExitStatus.PARTIAL if skips else ExitStatus.FINE


def _most_severe(reasons: set[ExitStatus]) -> ExitStatus:
    return next(status for status in MOST_SEVERE_FIRST if status in reasons | {ExitStatus.FINE})
