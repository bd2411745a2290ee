"""The confirmation before a store is changed."""

import sys
from collections.abc import Callable, Iterable
from typing import NamedTuple

from sendroute.cli.command_line import stderr_line
from sendroute.cli.output import report_chunks
from sendroute.cli.session import Session, is_terminal
from sendroute.model.change import Plan
from sendroute.model.codes import finding
from sendroute.model.finding import Finding, Locate, nowhere
from sendroute.reports.report import of_plan


class Action(NamedTuple):
    """What is to be confirmed: the question, what was not done without a confirmation, and what to
    do where no terminal can ask."""

    question: str
    done: str
    without_terminal: str


ACTIONS = {
    "apply": Action(
        "Apply these changes?",
        "applied",
        "Review the plan, then apply with --auto-approve, or apply a saved plan: "
        "sendroute plan PATH --out FILE, then sendroute apply FILE.",
    ),
    "restore": Action(
        "Restore this state?",
        "restored",
        "Review what it would change, then restore with --auto-approve.",
    ),
}


def confirm_plan(
    session: Session, verb: str, plan: Plan, *, approved: bool, locate: Locate = nowhere
) -> Finding | None:
    """Show a plan and ask for a confirmation, unless it is ``approved`` already. Returns None if it
    is confirmed, else the finding that says why not."""
    if approved:
        return None
    action = ACTIONS[verb]
    return confirm(action, lambda: report_chunks(session, of_plan(plan, locate=locate)))


def confirm(action: Action, shown: Callable[[], Iterable[str]]) -> Finding | None:
    """Write ``shown`` to the terminal and ask. Returns None if the answer is 'yes'."""
    if not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        return _not_approved(
            action, "there is no terminal to confirm it on", action.without_terminal
        )
    for chunk in shown():
        sys.stderr.write(chunk)
    if _agreed(action.question):
        return None
    return _not_approved(
        action, "the answer was not 'yes'", "To confirm, run the command again and answer yes."
    )


def _agreed(question: str) -> bool:
    stderr_line("")
    sys.stderr.write(f"{question} Only 'yes' is accepted: ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        stderr_line("")  # end of input leaves the cursor behind the question
    return answer.strip() == "yes"


def _not_approved(action: Action, why: str, hint: str) -> Finding:
    return finding("not-approved", f"Nothing was {action.done}: {why}.", hint=hint)
