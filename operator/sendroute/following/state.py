"""The folder that a git follower works in: one at a time, and nothing half-made is trusted."""

import fcntl
import os
import tempfile
import time
from pathlib import Path

from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import Configure, Setting

NAME = "sendroute-source"
# Seconds that the folder may still be another's. One that was killed as it started a git leaves
# a child that holds the lock until it has become that git: an instant, or longer on a busy machine.
PATIENCE = 5.0


class State:
    """``repository`` holds what was fetched, ``trees`` a folder for each checkout.

    The folder itself is locked: for as long as that is, systemd-tmpfiles ages nothing in it
    (tmpfiles.d(5)), or checkouts in /tmp would lose their files one day.
    """

    def __init__(self, given: str | None) -> None:
        self._temporary = given is None
        try:
            if given is None:
                self.folder = Path(tempfile.mkdtemp(prefix="sendroute-")).resolve()
            else:
                # One of its own within: what else lies in the folder given is not ours to clear.
                self.folder = Path(given).resolve() / NAME
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise unusable(given or tempfile.gettempdir(), error) from error
        try:
            _lock(self._lock)
            self._clear()
        except OSError as error:
            os.close(self._lock)
            raise (
                _taken(self.folder)
                if isinstance(error, BlockingIOError)
                else unusable(str(self.folder), error)
            ) from error
        self._open = True

    @property
    def repository(self) -> Path:
        return self.folder / "repository"

    @property
    def trees(self) -> Path:
        return self.folder / "trees"

    def close(self) -> None:
        if self._open:
            self._open = False
            if self._temporary:
                remove(self.folder)
            os.close(self._lock)

    def _clear(self) -> None:
        """What a crash left. Checkouts are cheap to make, and after a loss of power a file of one
        may be empty."""
        for left in (self.trees, *self.folder.glob(".new-*"), *self.folder.glob(".old-*")):
            remove(left)
        if self.repository.exists() and self.repository.lstat().st_uid != os.geteuid():
            remove(self.repository)  # a configuration of another's could name programs to run
        self.trees.mkdir(mode=0o700)

    def unlock(self) -> None:
        """Takes away what a git left that was killed: lock files, which would be in the way for
        ever, and packs half received. Only one works here."""
        for pattern in ("*.lock", "refs/**/*.lock", "objects/**/*.lock"):
            for left in self.repository.glob(pattern):
                left.unlink(missing_ok=True)
        (self.repository / "gc.pid").unlink(missing_ok=True)
        for left in self.repository.glob("objects/**/tmp_*"):
            left.unlink(missing_ok=True)


def _lock(folder: int) -> None:
    """Raises BlockingIOError where another still holds it after ``PATIENCE``."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.02)


def remove(path: Path) -> None:
    """A folder that may be there; under another name first, so that what is half removed is never
    taken for whole. Folders within come up to the top before they are emptied: they may nest
    deeper than a path may be long, or files be open."""
    if path.is_symlink():
        path.unlink()
    if not path.is_dir():
        return
    old = path.with_name(f".old-{os.urandom(6).hex()}")
    path.rename(old)
    pending = [old]
    while pending:
        folder = pending.pop()
        for child in list(folder.iterdir()):
            if child.is_dir() and not child.is_symlink():
                pending.append(child.rename(old / f".{os.urandom(8).hex()}"))
            else:
                child.unlink()
        if folder != old:
            folder.rmdir()
    for left in old.iterdir():
        left.rmdir()
    old.rmdir()


def unusable(folder: str, error: OSError) -> ProblemError:
    reason = (error.strerror or "unknown").lower()
    return ProblemError(
        finding(
            "unwritable",
            f"The state folder {ascii(folder)[1:-1]} cannot be used: {reason}.",
            hint="Set a directory on this machine that the user that runs sendroute may write to.",
            remedy=Configure(Setting.STATE_DIRECTORY),
        )
    )


def _taken(folder: Path) -> ProblemError:
    return ProblemError(
        finding(
            "unwritable",
            f"Another sendroute uses the state folder {ascii(str(folder))[1:-1]}.",
            hint="Stop the other process, or set another directory.",
            remedy=Configure(Setting.STATE_DIRECTORY),
        )
    )
