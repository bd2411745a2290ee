"""The exit status, derived in one place from findings, plans and results (docs/commands.md)."""

from collections.abc import Iterable
from enum import IntEnum

from sendroute.model.change import Action, Plan
from sendroute.model.codes import Code, why_not_saved
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
    """For ``validate``, and for a problem that ended a command; ``strict`` makes warnings fail."""
    reasons = {_of_finding(found) for found in findings} | {ExitStatus.FINE}
    if strict and any(found.severity is Severity.WARNING for found in findings):
        reasons.add(ExitStatus.FAILED)
    return _most_severe(reasons)


def of_plan(plan: Plan, *, detailed: bool = False) -> ExitStatus:
    """For ``plan``: what applying it with the same options would exit with, as far as the plan
    knows. With ``detailed``, a plan with changes is PENDING instead of FINE."""
    reasons = {_of_finding(found) for found in findings_of(plan)} | {_of_skips(plan)}
    if detailed and (plan.platform or any(account.changes for account in plan.accounts)):
        reasons.add(ExitStatus.PENDING)
    return _most_severe(reasons)


def of_result(result: Result) -> ExitStatus:
    """For ``apply`` and ``restore``."""
    reasons = {_of_finding(found) for found in findings_of(result.plan)}
    reasons.update(_of_finding(found) for found in result.findings)
    for account in result.accounts:
        reasons.add(_OF_OUTCOME[account.outcome])
        reasons.update(_of_finding(found) for found in account.findings)
    if result.platform is not None:
        reasons.add(_OF_OUTCOME[result.platform])
    if result.relays_behind:
        reasons.add(ExitStatus.PARTIAL)
    return _most_severe(reasons | {_of_skips(result.plan)})


def findings_of(plan: Plan) -> Iterable[Finding]:
    """All findings of a plan: those of no account first."""
    yield from plan.findings
    for account in plan.accounts:
        yield from account.findings


_OF_OUTCOME = {
    Outcome.COMMITTED: ExitStatus.FINE,
    Outcome.UNCHANGED: ExitStatus.FINE,
    Outcome.REFUSED: ExitStatus.REFUSED,
    Outcome.FAILED: ExitStatus.FAILED,
    Outcome.SKIPPED: ExitStatus.PARTIAL,
}


def _of_finding(found: Finding) -> ExitStatus:
    if found.severity is Severity.REFUSED:
        return ExitStatus.REFUSED
    if found.code == Code.DEPENDENCY_SKIPPED:
        return ExitStatus.PARTIAL
    if found.severity is Severity.ERROR:
        return ExitStatus.PARTIAL if why_not_saved(found.code) else ExitStatus.FAILED
    return ExitStatus.FINE


def _of_skips(plan: Plan) -> ExitStatus:
    skips = any(
        change.action is Action.SKIP for account in plan.accounts for change in account.changes
    ) or (plan.platform is not None and plan.platform.action is Action.SKIP)
    return ExitStatus.PARTIAL if skips else ExitStatus.FINE


def _most_severe(reasons: set[ExitStatus]) -> ExitStatus:
    return next(status for status in MOST_SEVERE_FIRST if status in reasons | {ExitStatus.FINE})
