"""Replacing a file: a reader sees the old or the new content, and never a part of it.

The new content is on the disk, in a temporary file beside the old one, before it gets its name. The
temporary file is locked while it is written. So the next writer knows the file of one that was
killed, which no process has locked, and removes it.

A file that another program writes, by its name and with files of its own beside it, gets a
directory instead.
"""

import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from sendroute.files.lock import lock

MODE = 0o644
"""The most that a file for the user may allow: everybody may read it, its owner may write it."""
SUFFIX = ".tmp"

_BUILT = "new"
"""The name of a file that is built; SQLite calls its logs ``new-journal`` and so on."""
_LEFT_DIRECTORY = re.compile(rf"\..+\.[0-9a-f]{{8}}{re.escape(SUFFIX)}")
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_NAME = 100
"""Bytes of a name that its temporary file keeps: a name has 255 at most."""
_PATIENCE = 1.0
"""Seconds in which another writer has removed what it takes for a leftover."""


@contextmanager
def replacing(path: Path, most: int = MODE, *, keeps_mode: bool = True) -> Iterator[BinaryIO]:
    """A context with the new file, to write. It replaces ``path`` when the block succeeds, and is
    deleted when the block fails. What writers that were killed left of this file is removed.

    A new file has the mode that the umask leaves of ``most``.

    Args:
        path: the file; a link is replaced and not followed.
        most: the most that the file may allow.
        keeps_mode: a file that is replaced keeps its mode, but never more than ``most``.

    Yields:
        The new file.

    Raises:
        OSError: the file cannot be written; the old one stays.
    """
    name = re.escape(_beginning(path.name))
    remove_leftovers(path.parent, rf"\.{name}\.[0-9a-f]{{8}}{re.escape(SUFFIX)}")
    temporary, descriptor = create_temporary(path, most)
    try:
        with open(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
            if keeps_mode and (mode := _mode(path)) is not None:
                os.fchmod(descriptor, mode & most)
            temporary.replace(path)
    except BaseException:  # also if interrupted: no partly written file remains
        temporary.unlink(missing_ok=True)
        raise


def create_temporary(path: Path, mode: int, suffix: str = SUFFIX) -> tuple[Path, int]:
    """Create an empty file beside ``path``, and lock it until it is closed.

    Args:
        path: the file that it is to replace.
        mode: the most that it may allow; the umask leaves less.
        suffix: the end of its name, which begins with a dot: it is never read as a manifest.

    Returns:
        The file, and its descriptor for writing.

    Raises:
        OSError: it cannot be created.
    """
    # Another writer may take it for a leftover before it is locked: then there is another one.
    while True:
        temporary = _temporary_name(path, suffix)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with suppress(OSError):  # without locks, nothing of another writer is removed
            lock(descriptor, time.monotonic() + _PATIENCE)
        if os.fstat(descriptor).st_nlink:
            return temporary, descriptor
        os.close(descriptor)


@contextmanager
def building(path: Path) -> Iterator[Path]:
    """A context with a path at which the file ``path`` can be built, in a locked directory of its
    own beside it. The directory is removed when the block ends, with all that is in it. What
    builders that were killed left in the same directory is removed, of whichever file it is: the
    next one often has another name, such as one with a date.

    Args:
        path: the file, which gets its name by a link or a rename in the block.

    Yields:
        The path of a file that does not exist yet. Its owner alone may open it.

    Raises:
        OSError: the directory cannot be created.
    """
    _remove_built(path.parent)
    directory, descriptor = _create_directory(path)
    try:
        yield directory / _BUILT
    finally:
        with suppress(OSError):
            _remove_directory(directory, descriptor)
        os.close(descriptor)


def _create_directory(path: Path) -> tuple[Path, int]:
    while True:  # as in `create_temporary`
        directory = _temporary_name(path, SUFFIX)
        directory.mkdir(mode=0o700)
        try:
            descriptor = os.open(directory, _OPEN_DIRECTORY)
        except FileNotFoundError:
            continue
        with suppress(OSError):
            lock(descriptor, time.monotonic() + _PATIENCE)
        with suppress(FileNotFoundError):
            if os.path.samestat(directory.stat(), os.fstat(descriptor)):
                return directory, descriptor
        os.close(descriptor)


def _remove_built(beside: Path) -> None:
    with suppress(OSError):
        for leftover in [item for item in beside.iterdir() if _LEFT_DIRECTORY.fullmatch(item.name)]:
            with suppress(OSError):
                descriptor = os.open(leftover, _OPEN_DIRECTORY)
                try:
                    lock(descriptor, time.monotonic())
                    if os.fstat(descriptor).st_uid == os.geteuid():
                        _remove_directory(leftover, descriptor)
                finally:
                    os.close(descriptor)


def _remove_directory(directory: Path, descriptor: int) -> None:
    """Remove a directory of a builder, but nothing that none has put there."""
    names = os.listdir(descriptor)
    if all(name == _BUILT or name.startswith(f"{_BUILT}-") for name in names):
        for name in names:
            os.unlink(name, dir_fd=descriptor)
        directory.rmdir()


def _temporary_name(path: Path, suffix: str) -> Path:
    return path.with_name(f".{_beginning(path.name)}.{secrets.token_hex(4)}{suffix}")


def _beginning(name: str) -> str:
    return os.fsencode(name)[:_MAX_NAME].decode("utf-8", "ignore")


def remove_leftovers(directory: Path, pattern: str) -> None:
    """Remove the temporary files of writers that were killed: those that no process has locked.

    Args:
        directory: where they are. If it cannot be listed, they stay.
        pattern: what their whole names match.
    """
    named = re.compile(pattern)
    with suppress(OSError):
        for leftover in [item for item in directory.iterdir() if named.fullmatch(item.name)]:
            with suppress(OSError):
                _remove_unlocked(leftover)


def _remove_unlocked(leftover: Path) -> None:
    descriptor = os.open(leftover, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return
        lock(descriptor, time.monotonic())
        leftover.unlink()
    finally:
        os.close(descriptor)


def _mode(path: Path) -> int | None:
    """The mode of the file that is replaced; None if there is none."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return None
