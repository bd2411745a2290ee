"""The question before a store is changed."""

import sys

from sendroute.cli.command_line import stderr_line
from sendroute.cli.session import is_terminal
from sendroute.model.codes import finding
from sendroute.model.finding import Finding


def can_ask() -> bool:
    """Whether a person is there: someone who can type, and see what was asked."""
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)


def agreed(verb: str = "apply") -> bool:
    """Whether the person at the terminal types ``yes``, and nothing else. ``verb`` is what is to
    be done."""
    stderr_line("")
    sys.stderr.write(f"{verb.capitalize()}? Only `yes` does it: ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        stderr_line("")  # end of input leaves the cursor behind the question
    return answer.strip() == "yes"


def declined(done: str = "applied") -> Finding:
    return finding(
        "not-approved",
        f"Nothing was {done}: the answer was not `yes`.",
        hint="Do it again, and answer yes where that is meant.",
    )


def not_approved() -> Finding:
    return finding(
        "not-approved",
        "Nothing was applied: nobody is at a terminal to approve it.",
        hint="Review the plan, then apply with --auto-approve, or apply a saved plan: "
        "sendroute plan PATH --out FILE, then sendroute apply FILE.",
    )
