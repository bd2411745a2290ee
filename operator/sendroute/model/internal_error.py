"""A failure that Sendroute does not foresee: a bug of it, or of a library.

What reads many files or objects, or plans many accounts, turns such a failure into a finding about
the one at hand, so that it stops nothing else.
"""

from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Where

_PACKAGE = __name__.partition(".")[0]


def is_internal(error: BaseException) -> bool:
    """Say whether an exception that nothing else handled is a bug.

    Args:
        error: the exception.

    Returns:
        False for a lack of memory, which is about no file, and for what ends the process. A panic
        of a library in Rust is a bug, although PyO3 derives it from ``BaseException``.
    """
    if isinstance(error, Exception):
        return not isinstance(error, MemoryError)
    return type(error).__name__ == "PanicException"


def internal_error(
    subject: str, error: BaseException, where: Where, account: AccountKey | None = None
) -> Finding:
    """Return the finding for a bug of what reads.

    Args:
        subject: what was read: for example "The file a.yaml".
        error: the exception.
        where: the position of the subject.
        account: the account that it belongs to; None if that is unknown.
    """
    until = "write the content in another way. It is unknown, so nothing is removed."
    return _finding(f"{subject} cannot be read", error, until, where, account)


def planning_error(account: AccountKey, error: BaseException, where: Where | None) -> Finding:
    """Return the finding for a bug of the planner.

    Args:
        account: the account that was planned.
        error: the exception.
        where: the position of its manifest; None if it has none.
    """
    until = "write its manifests in another way. The account is unchanged."
    return _finding(f"Account {account} cannot be planned", error, until, where, account)


def _finding(
    effect: str, error: BaseException, until: str, where: Where | None, account: AccountKey | None
) -> Finding:
    """It shows the type of the exception and the line that raised it, and never repeats its text,
    which may quote a secret."""
    return finding(
        "internal-error",
        f"{effect} because of a bug in Sendroute: {type(error).__name__} at {_line_of(error)}.",
        hint="Please report this message as a bug, with the version of Sendroute. Until it is"
        f" fixed, {until}",
        where=where,
        account=account,
    )


def _line_of(error: BaseException) -> str:
    """The innermost line of Sendroute itself."""
    position = "an unknown line"
    step = error.__traceback__
    while step is not None:
        module = step.tb_frame.f_globals.get("__name__", "")
        if module.partition(".")[0] == _PACKAGE:
            position = f"{module}:{step.tb_lineno}"
        step = step.tb_next
    return position
