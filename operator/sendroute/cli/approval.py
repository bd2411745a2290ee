"""``approve``: show a held-back plan, ask for a confirmation, and approve it."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime

from sendroute.cli.confirm import ConfirmedAction, confirm
from sendroute.cli.lookup import held_back_account
from sendroute.cli.session import Session
from sendroute.model.account_status import AccountStatus, PlanStep
from sendroute.model.change import Kind
from sendroute.model.codes import finding
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError
from sendroute.model.times import to_minute
from sendroute.model.words import actions_planned
from sendroute.reconcile.approvals import (
    approve_held_back,
    held_back_accounts,
    is_digest_of,
)
from sendroute.reports.as_text import finding_lines
from sendroute.reports.table import pairs
from sendroute.reports.text import Console, clean, width, wrap
from sendroute.reports.words import object_name
from sendroute.runtime.actor import actor
from sendroute.store.record import Store


def approve(
    session: Session, store: Store, name: str, digest: str | None, *, sure: bool
) -> AccountStatus:
    """Approve the held-back plan of an account.

    Args:
        session: settings and terminal.
        store: the store.
        name: the account, NAME or NAMESPACE/NAME.
        digest: the digest of the reviewed plan, or its beginning; None for the held-back plan.
        sure: approve without confirmation.

    Returns:
        The account's status, as it was shown.

    Raises:
        ProblemError: ``not-held-back`` if there is no such plan, ``stale-plan`` if another plan
            was reviewed, ``not-approved`` if it was not confirmed.
    """
    held_back = held_back_accounts(store.account_statuses())
    status = held_back[held_back_account(name, held_back)]
    if digest is not None and not is_digest_of(status, digest):
        raise ProblemError(_other_plan(status))
    if not sure:
        console = session.terminal.console(sys.stderr)
        refusal = confirm(_approval_prompt(status), lambda: lines(status, console), always=True)
        if refusal is not None:
            raise ProblemError(refusal)
    if not approve_held_back(store, status, actor(), datetime.now(UTC)):
        raise ProblemError(_other_plan(status))
    return status


def lines(status: AccountStatus, console: Console) -> Iterator[str]:
    """The held-back plan as text."""
    report = status.report
    counts = actions_planned(report.summary)
    rows = [
        ("account", str(status.key)),
        ("held back", f"since {to_minute(status.since)}"),
        ("changes", counts or "none"),
        ("digest", status.digest or ""),
    ]
    if status.commit is not None:
        rows.insert(2, ("commit", status.commit))
    yield from pairs(rows, console)
    yield "\n"
    for step in report.steps:
        yield from (line + "\n" for line in _step_lines(step, console))
    omitted = sum(report.summary.values()) - len(report.steps)
    if omitted > 0:
        yield f"  and {omitted} more\n"
    yield "\n"
    for reported in report.findings:
        shown_finding = finding(reported.code, reported.message, severity=reported.severity)
        yield from (line + "\n" for line in finding_lines(shown_finding, console))


def _step_lines(step: PlanStep, console: Console) -> Iterator[str]:
    """One line, as a plan has it; at a terminal, what does not fit is on the next lines."""
    verb = f"{step.action:<8}  "
    change = clean(f"{object_name(Kind(step.kind), step.name)}  {step.does}".rstrip())
    whole = f"  {verb}{change}  {clean(step.message)}"
    if console.fits(width(whole)):
        yield whole
        return
    yield from wrap(change, 2, first=verb, columns=console.columns)
    yield from wrap(clean(step.message), 2 + len(verb), columns=console.columns)


def _other_plan(status: AccountStatus) -> Finding:
    return finding(
        "stale-plan",
        f"The held-back plan of account {status.key} is not the reviewed one.",
        hint=f"Review it: sendroute status, then sendroute approve {status.key}",
    )


def _approval_prompt(status: AccountStatus) -> ConfirmedAction:
    return ConfirmedAction(
        "Approve this plan?",
        "approved",
        f"Review the plan, then: sendroute approve {status.key} --auto-approve"
        f" --digest {status.digest}",
    )
