"""Write a report, or another file for the user: completely or not at all."""

import errno
import os
import stat
from collections.abc import Iterable
from io import TextIOWrapper
from pathlib import Path

from sendroute.files.reason import reason_of
from sendroute.files.replacement import MODE, replacing
from sendroute.model.codes import finding
from sendroute.model.finding import whole_file
from sendroute.model.problem import ProblemError


def write(
    path: str, chunks: Iterable[str], *, subject: str = "The report", mode: int = MODE
) -> None:
    """Write a file as UTF-8, completely or not at all: a reader sees the old or the new content.

    A new file has the mode that the umask leaves of ``mode``. A file that is replaced keeps its
    mode, but never more than that. A file that is not regular (``/dev/stdout``, a pipe) is written
    to and never replaced. A link is followed.

    Args:
        path: the file.
        chunks: its content.
        subject: the name of the content, for the message.
        mode: the most that the file may allow.

    Raises:
        ProblemError: the file cannot be written (``unwritable``).
    """
    try:
        if _is_special(path):
            with open(path, "w", encoding="utf-8", newline="\n") as special:  # noqa: PTH123
                special.writelines(chunks)
        else:
            with replacing(Path(os.path.realpath(path)), mode) as file:
                text = TextIOWrapper(file, encoding="utf-8", newline="\n")
                text.writelines(chunks)
                text.detach()  # or the wrapper would close the file
    except OSError as error:
        raise ProblemError(
            finding(
                "unwritable",
                f"{subject} could not be written to {path}: {reason_of(error)}.",
                hint="Free space on that disk, or write elsewhere."
                if error.errno in (errno.ENOSPC, errno.EDQUOT)
                else "Specify a file in a directory that exists and is writable.",
                where=whole_file(path),
            )
        ) from error


def _is_special(path: str) -> bool:
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116
    except FileNotFoundError:
        return False
