"""The confirmation before a store is changed."""

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from sendroute.cli.command_line import stderr_line
from sendroute.cli.output import report_chunks
from sendroute.cli.session import Session, is_terminal
from sendroute.model.change import Plan
from sendroute.model.codes import finding
from sendroute.model.finding import Finding, Locate, no_positions
from sendroute.reconcile.commit import has_work
from sendroute.reports.report import Report, of_plan
from sendroute.reports.text import no_commands


class ConfirmedAction(NamedTuple):
    """An action to confirm: the question, the participle for "Nothing was …", and the hint if there
    is no terminal to ask on."""

    question: str
    done: str
    without_terminal: str


APPLY = ConfirmedAction(
    "Apply these changes?",
    "applied",
    "Review the plan, then apply with --auto-approve, or apply a saved plan: "
    "sendroute plan PATH --out FILE, then sendroute apply FILE.",
)
RESTORE = ConfirmedAction(
    "Restore this state?",
    "restored",
    "Review what it would change, then restore with --auto-approve.",
)


def confirm_plan(
    session: Session,
    action: ConfirmedAction,
    plan: Plan,
    *,
    approved: bool,
    locate: Locate = no_positions,
    paths: Sequence[str] = (),
) -> Finding | None:
    """Show a plan and ask for a confirmation, unless it is ``approved`` already. ``paths`` are what
    it was made from. Returns None if it is confirmed, else a finding."""
    if approved:
        return None
    return confirm(action, lambda: report_chunks(session, of_plan(plan, locate=locate), paths))


def shown_plan(plan: Plan, *, approved: bool, locate: Locate = no_positions) -> Report | None:
    """What :func:`confirm_plan` showed of a plan; None if it did not ask."""
    if approved or not has_work(plan) or not _can_ask():
        return None
    return of_plan(plan, locate=locate)


def confirm(
    action: ConfirmedAction, shown: Callable[[], Iterable[str]], *, always: bool = False
) -> Finding | None:
    """Write ``shown`` to the terminal and ask. Returns None if the answer is 'yes'. ``always``:
    write it also if there is no terminal to ask on, because no other command shows it."""
    if not _can_ask():
        if always:
            _write(shown())
        return _not_approved(
            action, "there is no terminal to confirm it on", action.without_terminal
        )
    _write(shown())
    if _agreed(action.question):
        return None
    return _not_approved(
        action, "the answer was not 'yes'", "To confirm, run the command again and answer yes."
    )


def _write(chunks: Iterable[str]) -> None:
    for chunk in chunks:
        sys.stderr.write(no_commands(chunk))


def _can_ask() -> bool:
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)


def _agreed(question: str) -> bool:
    stderr_line("")
    try:
        sys.stderr.write(f"{question} Only 'yes' is accepted: ")
        sys.stderr.flush()
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        stderr_line("")  # the cursor is still behind the question
        raise
    if not answer.endswith("\n"):
        stderr_line("")  # at the end of input, the cursor is still behind the question
    return answer.strip() == "yes"


def _not_approved(action: ConfirmedAction, reason: str, hint: str) -> Finding:
    return finding("not-approved", f"Nothing was {action.done}: {reason}.", hint=hint)
