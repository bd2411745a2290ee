"""The state directory of a git follower. One process uses it at a time; incomplete files are
removed."""

import errno
import logging
import os
import stat
import tempfile
import time
from pathlib import Path

from sendroute.files.lock import lock
from sendroute.files.reason import reason_of
from sendroute.files.regular import regular
from sendroute.files.replacement import replacing
from sendroute.files.trust import distrust_of, is_of_trusted_user, others_may
from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import Configure, Setting

SUBDIRECTORY = "sendroute-source"
_LOCK_TIMEOUT = 5.0
"""Seconds to wait for what a process was starting when it was killed."""
_REPOSITORY, _FIRST_SEEN = "repository", "first-seen.json"
# What git reads of a repository besides its configuration, and cannot run
# (gitrepository-layout(5)).
_DATA = frozenset({"HEAD", "config", "objects", "refs", "packed-refs", "shallow"})
_CONFIGURATION = {
    "sha1": b"[core]\n\trepositoryformatversion = 0\n\tbare = true\n",
    "sha256": b"[core]\n\trepositoryformatversion = 1\n\tbare = true\n"
    b"[extensions]\n\tobjectformat = sha256\n",
}

_MAX_CONFIGURATION = 1 << 16

_log = logging.getLogger(__name__)


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
                _require_trusted(self.directory)
            self._lock, self._is_kept = _own_directory(self.directory)
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
        return self.directory / _REPOSITORY

    @property
    def first_seen(self) -> Path:
        return self.directory / _FIRST_SEEN

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

    def require_unmoved(self) -> None:
        """Check that the path still leads to the locked directory.

        Raises:
            OSError: it was moved or deleted.
        """
        if not os.path.samestat(os.stat(self.directory), os.fstat(self._lock)):
            raise OSError(errno.ENOENT, "it was moved or deleted")

    def _clear(self) -> None:
        """Remove the files of an earlier process, also its checkouts: after a power failure their
        files may be empty. What another user may have put here is removed as well."""
        if not self._is_kept:
            _log.warning(
                "Other users could change %s. What is in it is deleted, and the repository is"
                " fetched again.",
                self.directory,
            )
        kept = (_REPOSITORY, _FIRST_SEEN) if self._is_kept else ()
        for child in list(self.directory.iterdir()):
            status = child.lstat()
            # A link would lead to a directory that is not ours to change.
            is_link = stat.S_ISLNK(status.st_mode)
            if child.name not in kept or is_link or status.st_uid != os.geteuid():
                remove(child)
        self._reset_configuration()
        self.trees.mkdir(mode=0o700)

    def _reset_configuration(self) -> None:
        """Leave nothing in the repository that can run a program or lead elsewhere: in its
        configuration, its hooks, a link, or a reference to another repository."""
        form = object_format(self.repository)
        if form is None:
            remove(self.repository)
            return
        for child in list(self.repository.iterdir()):
            if child.name not in _DATA or child.is_symlink():
                remove(child)
        (self.repository / "objects/info/alternates").unlink(missing_ok=True)
        with replacing(self.repository / "config", keeps_mode=False) as file:
            file.write(_CONFIGURATION[form])

    def unlock(self) -> None:
        """Remove the lock files and incomplete packs of a killed git. No other process works in the
        directory."""
        for pattern in ("*.lock", "refs/**/*.lock", "objects/**/*.lock"):
            for leftover in self.repository.glob(pattern):
                leftover.unlink(missing_ok=True)
        (self.repository / "gc.pid").unlink(missing_ok=True)
        for leftover in self.repository.glob("objects/**/tmp_*"):
            leftover.unlink(missing_ok=True)


def object_format(repository: Path) -> str | None:
    """The object format of a local repository, as git names it; None without a repository.

    Args:
        repository: its path.
    """
    try:
        config = regular(str(repository / "config"), os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    with open(config, "rb") as file:
        return "sha256" if b"sha256" in file.read(_MAX_CONFIGURATION) else "sha1"


def _own_directory(directory: Path) -> tuple[int, bool]:
    """Open a directory, and leave the rights to it to this user alone.

    Returns:
        Its descriptor, and whether no other user could change what is in it until now.

    Raises:
        OSError: it is a symbolic link, or belongs to another user than this one and root.
    """
    opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(opened)
        if not is_of_trusted_user(status):
            raise PermissionError(errno.EPERM, f"{directory.name} in it belongs to another user")
        if status.st_mode & 0o077:  # kubelet adds rights of the group (fsGroup)
            os.fchmod(opened, 0o700)
    except OSError:
        os.close(opened)
        raise
    # To enter it is enough: what is in it may be open to all.
    return opened, not others_may(stat.S_IWOTH | stat.S_IXOTH, status)


def _require_trusted(directory: Path) -> None:
    """Refuse a directory that another user could replace: git would run what its configuration
    names, with the rights of this process."""
    reason = distrust_of(directory)
    if reason is not None:
        raise ProblemError(
            finding(
                "unwritable",
                f"The state directory {ascii(str(directory))[1:-1]} is not safe: {reason}.",
                hint="Set a directory that only root and the user that runs sendroute may replace,"
                " as all directories above it.",
                remedy=Configure(Setting.STATE_DIRECTORY),
            )
        )


def remove(path: Path) -> None:
    """Remove a directory or a file, if it exists.

    It is renamed first, so that a partly removed one is never used. Inner directories are moved to
    the top before they are emptied: they may nest deeper than the length of a path allows, or than
    files may be open.

    Raises:
        OSError: it cannot be removed.
    """
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
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
