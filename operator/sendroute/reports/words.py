"""The phrases of a report, the same in every format."""

from collections import Counter
from collections.abc import Sequence

from sendroute.model.change import Action, Kind
from sendroute.model.finding import Severity
from sendroute.model.outcome import Outcome
from sendroute.model.words import NOUNS, actions_done, actions_planned, counted, number
from sendroute.reports.report import ONLY_FINDS, AccountReport, Report

_OUTCOMES = {
    Outcome.COMMITTED: "committed",
    Outcome.UNCHANGED: "unchanged",
    Outcome.REFUSED: "refused, unchanged",
    Outcome.FAILED: "failed, unchanged",
    Outcome.SKIPPED: "skipped, unchanged",
}


def object_name(kind: Kind, name: str) -> str:
    """Return how a report names an object: ``profile ses``; for a domain its name only.

    Args:
        kind: the kind of the object.
        name: its name.
    """
    return name if kind is Kind.DOMAIN else f"{NOUNS[kind]} {name}"


def outcome_words(account: AccountReport) -> str:
    """``committed, revision 8``; empty in a plan, unless the account is stopped."""
    if account.outcome is Outcome.COMMITTED:
        return f"committed, revision {number(account.revision)}"
    if account.outcome is Outcome.SKIPPED and account.changes:
        return _OUTCOMES[Outcome.UNCHANGED]  # the counts say what is skipped
    if account.outcome is not None:
        return _OUTCOMES[account.outcome]
    return "stopped, unchanged" if account.stopped else ""


def more_accounts(accounts: Sequence[AccountReport]) -> str:
    """One line for the accounts that are not listed; their changes are counted."""
    counts = actions_planned(
        Counter(change.action for account in accounts for change in account.changes)
    )
    return (
        f"… and {counted(len(accounts), 'more account')}: {counts or 'no changes'};"
        " the JSON report lists all"
    )


def severities(counts: Counter[Severity]) -> str:
    """``1 error, 2 refused, 3 warnings, 4 notes``."""
    words = {
        Severity.ERROR: counted(counts[Severity.ERROR], "error"),
        Severity.REFUSED: f"{number(counts[Severity.REFUSED])} refused",
        Severity.WARNING: counted(counts[Severity.WARNING], "warning"),
        Severity.INFO: counted(counts[Severity.INFO], "note"),
    }
    return ", ".join(text for severity, text in words.items() if counts[severity])


def totals(report: Report) -> str:
    """The last line of a report, and the first line of a comment on a pull request."""
    problems = severities(Counter(finding.severity for finding in report.listed()))
    if report.command in ONLY_FINDS:
        return f"{ONLY_FINDS[report.command]}: {problems or 'no problems found'}."
    if report.ended:
        return f"{report.command.capitalize()}: not done; {problems}."
    if report.command == "plan":
        counts = Counter(change.action for change, _ in report.changes())
        changes = actions_planned(counts) or "nothing to do"
        return f"Plan: {changes}{'; ' + problems if problems else ''}."
    return f"{report.command.capitalize()}: {_done(report)}{'; ' + problems if problems else ''}."


def _done(report: Report) -> str:
    applied = Counter(change.action for change, applied in report.changes() if applied)
    left = Counter(change.action for change, applied in report.changes() if not applied)
    skipped = left.pop(Action.SKIP, 0)
    verb = "restored" if report.command == "restore" else "applied"
    parts = [actions_done(applied)]
    if skipped:
        parts.append(f"{number(skipped)} skipped")
    if left.total():
        parts.append(f"{counted(left.total(), 'change')} not {verb}")
    return ", ".join(filter(None, parts)) or "nothing to do"


def holdings(accounts: int, profiles: int, domains: int) -> str:
    """Count what a store holds.

    Args:
        accounts: the number of accounts.
        profiles: the number of profiles.
        domains: the number of domains.

    Returns:
        ``2 accounts, 1 profile and 60 domains``.
    """
    return (
        f"{counted(accounts, 'account')}, {counted(profiles, 'profile')}"
        f" and {counted(domains, 'domain')}"
    )
