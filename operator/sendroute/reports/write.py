"""Write a report, or another file for the user: completely or not at all."""

import os
import stat
import tempfile
from collections.abc import Iterable

from sendroute.model.codes import finding
from sendroute.model.finding import whole_file
from sendroute.model.problem import ProblemError


def write(
    path: str, chunks: Iterable[str], *, what: str = "The report", mode: int | None = None
) -> None:
    """Writes the chunks as UTF-8. A reader of ``path`` sees the old file or the new one whole.

    ``what`` is the file's content, for the message. ``mode`` is the file's permission; None keeps
    that of the file replaced, or what the umask leaves.

    What is no regular file (``/dev/stdout``, a pipe) is written to, never replaced. A link is
    followed. Raises ProblemError where it cannot be written.
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
                f"{what} could not be written to {path}: {error.strerror or 'input/output'}.",
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
    except BaseException:  # also when interrupted: nothing half-written stays behind
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
