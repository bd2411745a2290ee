"""Write a report, or another file for the user: completely or not at all."""

import errno
import os
import secrets
import stat
from collections.abc import Iterable

from sendroute.files.reason import reason_of
from sendroute.model.codes import finding
from sendroute.model.finding import whole_file
from sendroute.model.problem import ProblemError

MODE = 0o644
"""The most that a file may allow: everybody may read it, its owner may write it."""


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
            with open(path, "w", encoding="utf-8", newline="\n") as file:  # noqa: PTH123
                file.writelines(chunks)
        else:
            _replace(os.path.realpath(path), chunks, mode)
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


def _replace(path: str, chunks: Iterable[str], most: int) -> None:
    directory, name = os.path.split(path)
    temporary = os.path.join(directory, f".{name[:100]}.{secrets.token_hex(4)}")  # noqa: PTH118
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, most)
    try:
        with open(descriptor, "w", encoding="utf-8", newline="\n") as file:  # noqa: PTH123
            file.writelines(chunks)
            file.flush()
            os.fsync(descriptor)
            if (mode := _mode(path)) is not None:
                os.fchmod(descriptor, mode & most)
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:  # also if interrupted: no partly written file remains
        os.unlink(temporary)  # noqa: PTH108
        raise


def _mode(path: str) -> int | None:
    """The mode of the file that is replaced; None if there is none."""
    try:
        return stat.S_IMODE(os.stat(path).st_mode)  # noqa: PTH116
    except FileNotFoundError:
        return None
