"""The lock of an edit, from before it reads the tree until its files are written: two edits at once
wait for each other, and neither is lost."""

import os
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from sendroute.files.lock import lock
from sendroute.model.codes import finding
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError

_TIMEOUT = 60.0
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class EditLock:
    """A context that locks directories with flock(2). The kernel releases the locks of a process
    that dies, and nothing is left in the tree.

    A file system without flock, or a directory that cannot be opened, is not locked: then only the
    comparison before each file is replaced protects other edits.

    Args:
        timeout: how many seconds to wait for other edits.
    """

    def __init__(self, timeout: float = _TIMEOUT) -> None:
        self._timeout = timeout
        self._held: dict[tuple[int, int], int] = {}

    def __enter__(self) -> "EditLock":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for opened in self._held.values():
            os.close(opened)
        self._held.clear()

    def take(self, paths: Iterable[str | os.PathLike[str]]) -> None:
        """Lock directories, and of files their directories. Those that are held are passed over.

        Args:
            paths: the directories and files.

        Raises:
            ProblemError: other edits held a directory for too long (``unwritable``).
        """
        deadline = time.monotonic() + self._timeout
        directories: dict[tuple[int, int], tuple[int, str]] = {}
        for path in paths:
            given = Path(path)
            self._open(str(given if given.is_dir() else given.parent), directories)
        try:
            # In one order for all edits, so that no two wait for each other.
            for identity, (opened, name) in sorted(directories.items()):
                _lock(opened, name, deadline)
                self._held[identity] = opened
        finally:
            for identity, (opened, _) in directories.items():
                if identity not in self._held:
                    os.close(opened)

    def _open(self, name: str, directories: dict[tuple[int, int], tuple[int, str]]) -> None:
        try:
            opened = os.open(name, _FLAGS)
        except (OSError, ValueError):  # reading the tree reports it, if it matters
            return
        status = os.fstat(opened)
        identity = (status.st_dev, status.st_ino)
        if identity in self._held or identity in directories:
            os.close(opened)
        else:
            directories[identity] = (opened, name)


def _lock(opened: int, name: str, deadline: float) -> None:
    try:
        lock(opened, deadline)
    except BlockingIOError as error:
        raise ProblemError(_busy(name)) from error
    except OSError:
        return  # the file system has no such locks


def _busy(name: str) -> Finding:
    return finding(
        "unwritable",
        f"Another edit of {name} has not ended, so nothing was written.",
        hint="Repeat the edit when the other one has ended.",
    )
