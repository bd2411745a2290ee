"""Write a report, or another file for the user: completely or not at all."""

import os
import stat
import tempfile
from collections.abc import Iterable

from sendroute.model.codes import finding
from sendroute.model.finding import whole_file
from sendroute.model.problem import ProblemError


def write(
    path: str, chunks: Iterable[str], *, subject: str = "The report", mode: int | None = None
) -> None:
    """Write a file as UTF-8, completely or not at all: a reader sees the old or the new content.

    A file that is not regular (``/dev/stdout``, a pipe) is written to and never replaced. A link is
    followed.

    Args:
        path: the file.
        chunks: its content.
        subject: the name of the content, for the message.
        mode: the permissions; None keeps those of the replaced file, or those that the umask gives.

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
                f"{subject} could not be written to {path}: {error.strerror or 'input/output'}.",
                hint="Specify a file in a directory that exists and is writable.",
                where=whole_file(path),
            )
        ) from error


def _is_special(path: str) -> bool:
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116
    except FileNotFoundError:
        return False


def _replace(path: str, chunks: Iterable[str], mode: int | None) -> None:
    directory, name = os.path.split(path)
    descriptor, temporary = tempfile.mkstemp(dir=directory, prefix=f".{name[:100]}.")
    try:
        with open(descriptor, "w", encoding="utf-8", newline="\n") as file:  # noqa: PTH123
            file.writelines(chunks)
            file.flush()
            os.fsync(descriptor)
            os.fchmod(descriptor, _mode(path) if mode is None else mode)
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:  # also if interrupted: no partly written file remains
        os.unlink(temporary)  # noqa: PTH108
        raise


def _mode(path: str) -> int:
    """The mode of the file that is replaced; of a new one what the umask leaves of 0666."""
    try:
        return stat.S_IMODE(os.stat(path).st_mode)  # noqa: PTH116
    except FileNotFoundError:
        umask = os.umask(0o077)
        os.umask(umask)
        return 0o666 & ~umask
