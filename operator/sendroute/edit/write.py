"""Writing several files together: all new content is on disk before the first file is replaced, and
replaced files are restored if a later one fails."""

import errno
import os
import re
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from sendroute.edit.proposal import TextChange
from sendroute.edit.tree import changed_meanwhile
from sendroute.files.reason import reason_of
from sendroute.files.replacement import MODE, create_temporary, remove_leftovers
from sendroute.model.codes import finding
from sendroute.model.finding import Finding, Where
from sendroute.model.problem import ProblemError

_SUFFIX = ".sendroute-edit"
"""Of temporary files. Each is complete before the first file is replaced, and then not locked any
more: an edit holds the lock of the directory, and removes all that a killed edit left there."""


class _FileStep(NamedTuple):
    """``path`` is the real file, no link; ``temporary`` holds the new content, None for a
    deleted file; ``before`` and ``after`` are the old and the new content, None for no file."""

    name: str
    path: Path
    temporary: Path | None
    before: bytes | None
    after: bytes | None


def write(texts: Mapping[str, TextChange], paths: Mapping[str, str]) -> None:
    """Write all files or none. A link is kept and its target replaced; mode and owner are kept.
    The directories of a new file are created.

    The caller holds the lock of edits. An editor that takes no lock may still save a file: each
    file is compared immediately before it is replaced.

    Args:
        texts: the files by the names under which they are shown.
        paths: the path of each name.

    Raises:
        ProblemError: a file cannot be written, or it changed after it was read. All files are as
            before.
    """
    steps: list[_FileStep] = []
    created: list[Path] = []
    cleaned: set[Path] = set()
    done: list[_FileStep] = []
    name = ""
    try:
        for name, text in texts.items():
            path = Path(paths.get(name, name))
            _create_directories(path.parent, created)
            if (directory := path.resolve().parent) not in cleaned:
                remove_leftovers(directory, rf"\..*{re.escape(_SUFFIX)}")
                cleaned.add(directory)
            steps.append(_prepare(path, name, text))
        for step in sorted(steps, key=lambda step: step.temporary is None):  # removals last
            name = step.name
            _check_unchanged(step)
            done.append(step)
            _apply(step)
        done.clear()
        created.clear()
    except OSError as error:
        raise ProblemError(_unwritable(name, error)) from error
    finally:
        for step in reversed(done):
            with suppress(OSError):  # a full disk may fail here too
                _restore(step)
        for step in steps:
            if step.temporary is not None:
                step.temporary.unlink(missing_ok=True)
        for directory in reversed(created):
            with suppress(OSError):
                directory.rmdir()


def _create_directories(directory: Path, created: list[Path]) -> None:
    """Create missing directories, and add each to ``created`` as soon as it exists."""
    if directory.exists():
        return
    _create_directories(directory.parent, created)
    directory.mkdir()
    created.append(directory)


def _prepare(path: Path, name: str, text: TextChange) -> _FileStep:
    real = path.resolve()
    if text.before is None:
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, "the file already exists")
        before = None
    else:
        before = text.before.encode()
        if not real.exists():
            raise ProblemError(changed_meanwhile(name))
        if not os.access(real, os.W_OK):
            raise PermissionError(errno.EACCES, "it is read-only")
    if text.after is None:
        return _FileStep(name, real, None, before, None)
    after = text.after.encode()
    return _FileStep(name, real, _temporary(real, after), before, after)


def _check_unchanged(step: _FileStep) -> None:
    """Raises ProblemError if the file is not as it was read."""
    if step.before is None:
        return  # linking fails if the file exists
    try:
        unchanged = step.path.read_bytes() == step.before
    except FileNotFoundError:
        unchanged = False
    if not unchanged:
        raise ProblemError(changed_meanwhile(step.name))


def _temporary(path: Path, data: bytes) -> Path:
    """Write the data to a file next to ``path``, with the owner and mode of ``path``."""
    replaces = path.exists()
    temporary, descriptor = create_temporary(path, 0o600 if replaces else MODE, _SUFFIX)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replaces:
            _copy_status(temporary, path)
    except BaseException:  # also if interrupted: no temporary file remains
        temporary.unlink()
        raise
    return temporary


def _copy_status(temporary: Path, path: Path) -> None:
    """Copy owner, mode and extended attributes. The times are new: other programs rely on them."""
    old, new = path.stat(), temporary.stat()
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        os.chown(temporary, old.st_uid, old.st_gid)
    shutil.copystat(path, temporary)
    temporary.chmod(stat.S_IMODE(old.st_mode))
    os.utime(temporary)


def _apply(step: _FileStep) -> None:
    if step.temporary is None:
        step.path.unlink()
    elif step.before is None:
        os.link(step.temporary, step.path)  # fails if another process created the file
    else:
        step.temporary.replace(step.path)


def _restore(step: _FileStep) -> None:
    if step.before is None:
        if step.temporary and step.path.exists() and step.temporary.samefile(step.path):
            step.path.unlink()
    elif (step.path.read_bytes() if step.path.exists() else None) == step.after:
        _temporary(step.path, step.before).replace(step.path)


def _unwritable(name: str, error: OSError) -> Finding:
    hint = "Nothing was written. Check the file's permissions and the free disk space."
    if isinstance(error, FileExistsError):
        hint = "Nothing was written. Choose another file, or add the file to the given manifests."
    return finding(
        "unwritable",
        f"{name} could not be written: {reason_of(error)}.",
        hint=hint,
        where=Where(name, 0),
    )
