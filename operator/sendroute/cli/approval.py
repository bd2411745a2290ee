"""``approve``: show a held-back plan, ask for a confirmation, and approve it."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime

from msgspec.structs import replace

from sendroute.cli.confirm import ConfirmedAction, confirm
from sendroute.cli.given_options import with_given_options
from sendroute.cli.lookup import held_back_account
from sendroute.cli.session import Session
from sendroute.model.account_status import AccountStatus
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Position
from sendroute.model.problem import ProblemError
from sendroute.model.times import to_minute
from sendroute.model.words import actions_planned, counted
from sendroute.reconcile.approvals import (
    approve_held_back,
    held_back_accounts,
    is_digest_of,
)
from sendroute.reports.as_text import finding_lines, step_lines
from sendroute.reports.table import pairs
from sendroute.reports.text import Console, wrap
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
        ProblemError: ``unknown-account`` if there is no such account, ``not-held-back`` if there
            is no such plan, ``stale-plan`` if another plan was reviewed, ``not-approved`` if it was
            not confirmed.
    """
    statuses = store.account_statuses()
    held_back = held_back_accounts(statuses)
    known = {*store.accounts(), *(key for key in statuses if isinstance(key, AccountKey))}
    status = held_back[held_back_account(name, held_back, known)]
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
    yield from (line + "\n" for line in step_lines(report.steps, console))
    omitted = sum(report.summary.values()) - len(report.steps)
    if omitted > 0:
        more = f"… and {counted(omitted, 'more change')}"
        yield from (line + "\n" for line in wrap(more, 2, columns=console.columns))
    yield "\n"
    for reported in report.findings:
        shown_finding = finding(reported.code, reported.message, severity=reported.severity)
        if isinstance(reported.position, Position):
            shown_finding = replace(shown_finding, position=reported.position)
        yield from (line + "\n" for line in finding_lines(shown_finding, console))


def _other_plan(status: AccountStatus) -> Finding:
    return finding(
        "stale-plan",
        f"The held-back plan of account {status.key} is not the reviewed one.",
        hint=with_given_options(
            f"Review it: sendroute status, then sendroute approve {status.key}"
        ),
    )


def _approval_prompt(status: AccountStatus) -> ConfirmedAction:
    return ConfirmedAction(
        "Approve this plan?",
        "approved",
        with_given_options(
            f"Review the plan, then: sendroute approve {status.key} --auto-approve"
            f" --digest {status.digest}"
        ),
    )
