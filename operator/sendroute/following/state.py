"""The state directory of a git follower. One process uses it at a time; incomplete files are
removed."""

import errno
import os
import tempfile
import time
from pathlib import Path

from sendroute.files.lock import lock
from sendroute.files.reason import reason_of
from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import Configure, Setting

SUBDIRECTORY = "sendroute-source"
_LOCK_TIMEOUT = 5.0
"""Seconds to wait for what a process was starting when it was killed."""


class StateDirectory:
    """``repository`` holds what was fetched, ``trees`` a directory for each checkout,
    ``first_seen`` when commits came here.

    The directory itself is locked: systemd-tmpfiles removes nothing in a locked directory
    (tmpfiles.d(5)), so checkouts in /tmp keep their files.

    Args:
        parent: where the state directory is created; None for a temporary one.

    Raises:
        ProblemError: it cannot be used, or another process uses it (``unwritable``).
    """

    def __init__(self, parent: str | None) -> None:
        self._temporary = parent is None
        try:
            if parent is None:
                self.directory = Path(tempfile.mkdtemp(prefix="sendroute-")).resolve()
            else:
                # A subdirectory: other files of the given directory are never removed.
                self.directory = Path(parent).resolve() / SUBDIRECTORY
                self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _own_directory(self.directory)
        except OSError as error:
            raise cannot_use(parent or tempfile.gettempdir(), error) from error
        try:
            lock(self._lock, time.monotonic() + _LOCK_TIMEOUT)
            self._clear()
        except OSError as error:
            os.close(self._lock)
            raise (
                _in_use(self.directory)
                if isinstance(error, BlockingIOError)
                else cannot_use(str(self.directory), error)
            ) from error
        self._open = True

    @property
    def repository(self) -> Path:
        return self.directory / "repository"

    @property
    def first_seen(self) -> Path:
        return self.directory / "first-seen.json"

    @property
    def trees(self) -> Path:
        return self.directory / "trees"

    def close(self) -> None:
        """Release the lock, and remove a temporary directory. Closing it twice is no error."""
        if self._open:
            self._open = False
            if self._temporary:
                remove(self.directory)
            os.close(self._lock)

    def _clear(self) -> None:
        """Remove the files of an earlier process, also its checkouts: after a power failure their
        files may be empty."""
        for leftover in (
            self.trees,
            *self.directory.glob(".new-*"),
            *self.directory.glob(".old-*"),
        ):
            remove(leftover)
        if self.repository.exists() and self.repository.lstat().st_uid != os.geteuid():
            remove(self.repository)  # another user's configuration could run programs
        self.trees.mkdir(mode=0o700)

    def unlock(self) -> None:
        """Remove the lock files and incomplete packs of a killed git. No other process works in the
        directory."""
        for pattern in ("*.lock", "refs/**/*.lock", "objects/**/*.lock"):
            for leftover in self.repository.glob(pattern):
                leftover.unlink(missing_ok=True)
        (self.repository / "gc.pid").unlink(missing_ok=True)
        for leftover in self.repository.glob("objects/**/tmp_*"):
            leftover.unlink(missing_ok=True)


def _own_directory(directory: Path) -> int:
    """Open a directory that only this user may write. The configuration of a repository in it can
    run programs, and who may write it can replace what is in it at any time.

    Raises:
        OSError: it is a symbolic link, or belongs to another user than this one and root.
    """
    opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(opened)
        if status.st_uid not in (os.geteuid(), 0):
            raise PermissionError(errno.EPERM, f"{directory.name} in it belongs to another user")
        if status.st_mode & 0o022:  # kubelet adds rights of the group (fsGroup)
            os.fchmod(opened, 0o700)
    except OSError:
        os.close(opened)
        raise
    return opened


def remove(path: Path) -> None:
    """Remove a directory, if it exists.

    It is renamed first, so that a partly removed one is never used. Inner directories are moved to
    the top before they are emptied: they may nest deeper than the length of a path allows, or than
    files may be open.

    Raises:
        OSError: it cannot be removed.
    """
    if path.is_symlink():
        path.unlink()
    if not path.is_dir():
        return
    old = path.with_name(f".old-{os.urandom(6).hex()}")
    path.rename(old)
    pending = [old]
    while pending:
        directory = pending.pop()
        for child in list(directory.iterdir()):
            if child.is_dir() and not child.is_symlink():
                pending.append(child.rename(old / f".{os.urandom(8).hex()}"))
            else:
                child.unlink()
        if directory != old:
            directory.rmdir()
    for leftover in old.iterdir():
        leftover.rmdir()
    old.rmdir()


def cannot_use(directory: str, error: OSError) -> ProblemError:
    reason = reason_of(error)
    return ProblemError(
        finding(
            "unwritable",
            f"The state directory {ascii(directory)[1:-1]} cannot be used: {reason}.",
            hint="Set a local directory that is writable for the user that runs sendroute.",
            remedy=Configure(Setting.STATE_DIRECTORY),
        )
    )


def _in_use(directory: Path) -> ProblemError:
    return ProblemError(
        finding(
            "unwritable",
            f"Another sendroute process uses the state directory {ascii(str(directory))[1:-1]}.",
            hint="Stop that process, or set another directory.",
            remedy=Configure(Setting.STATE_DIRECTORY),
        )
    )
