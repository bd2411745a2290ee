"""Writing files whole or not at all."""

import os
import stat

from sendroute.model.codes import finding
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError


def write_file(path: str, content: bytes, *, mode: int | None = None) -> None:
    """Replace ``path`` by ``content`` in one step, so that no reader sees half of it.

    ``mode`` is the file's permission; None keeps that of the file that is replaced, or what the
    umask gives. A link is written through; a pipe or device is written into.
    Raises :class:`ProblemError` with an ``unwritable``.
    """
    try:
        real = os.path.realpath(path)
        before = _mode_of(real)
        if before is not None and not stat.S_ISREG(before):
            with open(path, "wb") as stream:
                stream.write(content)
            return
        _replace(real, content, mode if mode is not None else _usual(before))
    except (OSError, ValueError) as error:
        raise ProblemError(unwritable(path, error)) from error


def unwritable(path: str, error: OSError | ValueError) -> Finding:
    """The finding for a file that could not be written."""
    why = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return finding(
        "unwritable",
        f"`{path}` could not be written: {why[:1].lower()}{why[1:]}.",
        hint="Name a file in a folder that exists and that you may write to.",
    )


def _replace(path: str, content: bytes, mode: int) -> None:
    import tempfile

    handle, draft = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".sendroute-")
    try:
        with open(handle, "wb") as stream:
            stream.write(content)
            os.fchmod(handle, mode)
            stream.flush()
            os.fsync(handle)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise


def _mode_of(path: str) -> int | None:
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


def _usual(before: int | None) -> int:
    if before is not None:
        return stat.S_IMODE(before)
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask
