"""Several files changed together: every new content is safely on the disk before the first file is
replaced, and what was replaced is put back where a later one fails."""

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from sendroute.edit.proposal import Text
from sendroute.edit.tree import changed_meanwhile
from sendroute.model.codes import finding
from sendroute.model.finding import Finding, Where
from sendroute.model.problem import ProblemError


class _Step(NamedTuple):
    """``path`` is the real file, no link; ``temporary`` holds what it becomes, None for a file
    that goes; ``before`` what it held, None for a new one."""

    name: str
    path: Path
    temporary: Path | None
    before: bytes | None


def write(texts: Mapping[str, Text], paths: Mapping[str, str]) -> None:
    """``paths`` leads from the names that files are shown under to what opens them.

    A link stays a link, what it leads to is replaced; mode and owner are kept. Raises ProblemError
    and leaves everything as it was where any file cannot be written, or holds something else than
    what was read.
    """
    steps: list[_Step] = []
    done: list[_Step] = []
    name = ""
    try:
        for name, text in texts.items():
            steps.append(_prepare(Path(paths.get(name, name)), name, text))
        for step in sorted(steps, key=lambda each: each.temporary is None):  # removals last
            name = step.name
            done.append(step)
            _carry_out(step)
        done.clear()
    except OSError as error:
        raise ProblemError(_unwritable(name, error)) from error
    finally:
        for step in reversed(done):
            with suppress(OSError):  # the disk that refused one file may refuse this too
                _put_back(step)
        for step in steps:
            if step.temporary is not None:
                step.temporary.unlink(missing_ok=True)


def _prepare(path: Path, name: str, text: Text) -> _Step:
    real = path.resolve()
    if text.before is None:
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, "a file of that name is there already")
        before = None
    else:
        before = text.before.encode()
        if real.read_bytes() != before:
            raise ProblemError(changed_meanwhile(name))
        if not os.access(real, os.W_OK):
            raise PermissionError(errno.EACCES, "it is read-only")
    if text.after is None:
        return _Step(name, real, None, before)
    return _Step(name, real, _temporary(real, text.after.encode()), before)


def _temporary(path: Path, data: bytes) -> Path:
    """The data in a file beside ``path``, with the owner and mode that ``path`` has or would."""
    descriptor, made = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
    temporary = Path(made)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            _make_like(temporary, path)
        else:
            umask = os.umask(0o077)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)
    except BaseException:
        temporary.unlink()
        raise
    return temporary


def _make_like(temporary: Path, path: Path) -> None:
    """Owner, mode and extended attributes; its times are its own, for other programs go by them."""
    old, new = path.stat(), temporary.stat()
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        os.chown(temporary, old.st_uid, old.st_gid)
    shutil.copystat(path, temporary)
    temporary.chmod(stat.S_IMODE(old.st_mode))
    os.utime(temporary)


def _carry_out(step: _Step) -> None:
    if step.temporary is None:
        step.path.unlink()
    elif step.before is None:
        os.link(step.temporary, step.path)  # fails where somebody made the file meanwhile
    else:
        step.temporary.replace(step.path)


def _put_back(step: _Step) -> None:
    if step.before is None:
        if step.temporary and step.path.exists() and step.temporary.samefile(step.path):
            step.path.unlink()
    elif not step.path.exists() or step.path.read_bytes() != step.before:
        _temporary(step.path, step.before).replace(step.path)


def _unwritable(name: str, error: OSError) -> Finding:
    hint = "Nothing was written. Give the user that runs sendroute the right to, and room on disk."
    if isinstance(error, FileExistsError):
        hint = "Nothing was written. Name another file, or name this one among the manifests."
    return finding(
        "unwritable",
        f"This file could not be written: {error.strerror or 'input/output error'}.",
        hint=hint,
        where=Where(name, 0),
    )
