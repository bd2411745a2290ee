"""Several files changed together: every new content is safely on the disk before the first file is
replaced, and what was replaced is put back where a later one fails."""

import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from typing import NamedTuple

from sendroute.edit.proposal import Text
from sendroute.edit.tree import changed_meanwhile
from sendroute.model.codes import finding
from sendroute.model.finding import Finding, Where
from sendroute.model.problem import ProblemError


class _Step(NamedTuple):
    """``path`` is the real file, no link; ``temporary`` holds what it becomes, None for a file
    that goes; ``before`` what it held, None for a new one."""

    path: str
    temporary: str | None
    before: bytes | None


def write(texts: Mapping[str, Text], paths: Mapping[str, str]) -> None:
    """``paths`` leads from the names that files are shown under to what opens them.

    A link stays a link, what it leads to is replaced; mode and owner are kept. Raises ProblemError
    and leaves everything as it was where any file cannot be written, or holds something else than
    what was read.
    """
    steps: list[_Step] = []
    done: list[_Step] = []
    file = ""
    try:
        for file, text in texts.items():
            steps.append(_prepare(paths.get(file, file), file, text))
        for (file, _), step in zip(texts.items(), steps, strict=True):
            done.append(step)
            _carry_out(step)
        done.clear()
    except OSError as error:
        raise ProblemError(_unwritable(file, error)) from error
    finally:
        for step in reversed(done):
            _put_back(step)
        for step in steps:
            if step.temporary is not None:
                _forget(step.temporary)


def _prepare(path: str, name: str, text: Text) -> _Step:
    real = os.path.realpath(path)
    before = None if text.before is None else text.before.encode()
    if before is None:
        if os.path.lexists(path):
            raise FileExistsError(17, "a file of that name is there already")
    else:
        with open(real, "rb") as file:  # noqa: PTH123
            if file.read() != before:
                raise ProblemError(changed_meanwhile(name))
        if not os.access(real, os.W_OK):
            raise PermissionError(13, "it is read-only")
    if text.after is None:
        return _Step(real, None, before)
    return _Step(real, _temporary(real, text.after.encode(), before is not None), before)


def _temporary(path: str, data: bytes, there: bool) -> str:
    folder, name = os.path.split(path)
    descriptor, temporary = tempfile.mkstemp(dir=folder or ".", prefix=f".{name[:100]}.")
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if there:
            _like(path, temporary)
        else:
            umask = os.umask(0o077)
            os.umask(umask)
            os.chmod(temporary, 0o666 & ~umask)  # noqa: PTH101
    except BaseException:
        os.unlink(temporary)  # noqa: PTH108
        raise
    return temporary


def _like(path: str, temporary: str) -> None:
    """Owner, mode and extended attributes of one file for another; its times are its own."""
    old, new = os.stat(path), os.stat(temporary)  # noqa: PTH116
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        os.chown(temporary, old.st_uid, old.st_gid)
    shutil.copystat(path, temporary)
    os.chmod(temporary, stat.S_IMODE(old.st_mode))  # noqa: PTH101
    os.utime(temporary)


def _carry_out(step: _Step) -> None:
    if step.temporary is None:
        os.unlink(step.path)  # noqa: PTH108
    elif step.before is None:
        os.link(step.temporary, step.path)  # fails where somebody made the file meanwhile
    else:
        os.replace(step.temporary, step.path)  # noqa: PTH105


def _put_back(step: _Step) -> None:
    """As well as can be: the disk that refused one file may refuse this too."""
    try:
        if step.before is not None:
            if not os.path.exists(step.path) or _holds_something_else(step):
                there = os.path.exists(step.path)
                os.replace(_temporary(step.path, step.before, there), step.path)  # noqa: PTH105
        elif step.temporary is not None and os.path.samefile(step.temporary, step.path):
            os.unlink(step.path)  # noqa: PTH108
    except OSError:
        return


def _holds_something_else(step: _Step) -> bool:
    with open(step.path, "rb") as file:  # noqa: PTH123
        return file.read() != step.before


def _forget(temporary: str) -> None:
    try:
        os.unlink(temporary)  # noqa: PTH108
    except FileNotFoundError:
        return


def _unwritable(file: str, error: OSError) -> Finding:
    hint = "Nothing was written. Give the user that runs sendroute the right to, and room on disk."
    if isinstance(error, FileExistsError):
        hint = "Nothing was written. Name another file, or name this one among the manifests."
    return finding(
        "unwritable",
        f"This file could not be written: {error.strerror or 'input/output error'}.",
        hint=hint,
        where=Where(file, 0),
    )
