"""The confirmation before a store is changed."""

import sys

from sendroute.cli.command_line import stderr_line
from sendroute.cli.session import is_terminal
from sendroute.model.codes import finding
from sendroute.model.finding import Finding

_QUESTIONS = {
    "apply": "Apply these changes?",
    "restore": "Restore this state?",
    "approve": "Approve this plan?",
}


def can_ask() -> bool:
    """Whether a person is at the terminal, who can type and see the question."""
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)


def agreed(verb: str = "apply") -> bool:
    """Ask for a confirmation. Returns whether the answer is ``yes``; ``verb`` says what is to be
    confirmed: apply, restore or approve."""
    stderr_line("")
    sys.stderr.write(f"{_QUESTIONS[verb]} Only 'yes' is accepted: ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        stderr_line("")  # end of input leaves the cursor behind the question
    return answer.strip() == "yes"


def declined(done: str = "applied") -> Finding:
    return finding(
        "not-approved",
        f"Nothing was {done}: the answer was not 'yes'.",
        hint="To confirm, run the command again and answer yes.",
    )


def not_approved() -> Finding:
    return finding(
        "not-approved",
        "Nothing was applied: there is no terminal to confirm it on.",
        hint="Review the plan, then apply with --auto-approve, or apply a saved plan: "
        "sendroute plan PATH --out FILE, then sendroute apply FILE.",
    )
