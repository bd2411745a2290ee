"""The directory that the agent and Postfix's configuration share: whose it may be."""

from pathlib import Path

from sendroute.files.trust import distrust_of
from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError


def require_trusted(directory: Path) -> None:
    """Only root, or the user of this process, may decide what is in the directory, or may replace
    it: Postfix obeys it, and no name in it is a trap.

    Args:
        directory: the directory of the lookup tables.

    Raises:
        ProblemError: another user owns it, or may replace it (``unsafe-directory``).
        OSError: it cannot be examined.
    """
    reason = distrust_of(directory)
    if reason is None:
        return
    raise ProblemError(
        finding(
            "unsafe-directory",
            f"The directory {directory} is not safe for what Postfix reads: {reason}.",
            hint="Choose a directory that only root and the user that runs this may replace, as all"
            " directories above it.",
        )
    )
