"""A directory, or one file, in its current state."""

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from errno import EACCES, ENOENT, ENOTDIR

from sendroute.following.follower import SourceSnapshot, StoppedError
from sendroute.following.walk import PathStatus, status_of, walk
from sendroute.model.ancestry import CommitHistory
from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError

# The kernel sets the times of files from a clock that ticks every 1 to 10 ms (CONFIG_HZ): two
# writes within one tick leave the same times.
_TICK_NS = 20_000_000
_REASONS = {
    ENOENT: "there is no such file or directory",
    ENOTDIR: "a part of its path is not a directory",
    EACCES: "permission denied",
}


class DirectoryFollower:
    """A :class:`~sendroute.following.follower.Follower` of a path.

    A link is followed again with every poll: git-sync and mounted ConfigMaps switch one.

    Args:
        path: the directory or file.
        extra_files: the other files that are read with a tree (lock files), whether they exist or
            not.
    """

    def __init__(
        self, path: str, extra_files: Callable[[str], Iterable[str]] = lambda _path: ()
    ) -> None:
        self._path = path
        self._extra_files = extra_files
        self._last: SourceSnapshot | None = None

    @property
    def shown(self) -> str:
        return self._path

    def poll(self, should_stop: Callable[[], bool]) -> SourceSnapshot:
        fingerprint, newest = self._fingerprint(should_stop)
        remaining = newest + _TICK_NS - time.time_ns()
        if 0 < remaining <= _TICK_NS:
            # Only once, because a file may be written continuously.
            time.sleep(remaining / 1e9)
            fingerprint, newest = self._fingerprint(should_stop)
        if self._last is None or self._last.fingerprint != fingerprint:
            changed_at = time.monotonic()
            if self._last is None:  # only then, because clocks of file servers differ
                changed_at -= max(0.0, time.time() - newest / 1e9)
            self._last = SourceSnapshot(self._path, None, fingerprint, changed_at=changed_at)
        return self._last

    def unchanged(self, snapshot: SourceSnapshot) -> bool:
        try:
            fingerprint, _ = self._fingerprint(lambda: False)
        except ProblemError:
            return False
        return fingerprint == snapshot.fingerprint

    def history(
        self,
        snapshot: SourceSnapshot,  # noqa: ARG002
        should_stop: Callable[[], bool],  # noqa: ARG002
    ) -> CommitHistory | None:
        return None  # each checkout in the directory has its own

    def remember(self, snapshot: SourceSnapshot) -> None:
        """Do nothing: a directory has only its current state, so no snapshot is kept."""

    def last_good(self, should_stop: Callable[[], bool]) -> SourceSnapshot | None:  # noqa: ARG002
        return None

    def close(self) -> None:
        """Nothing to release."""

    def _fingerprint(self, should_stop: Callable[[], bool]) -> tuple[str, int]:
        """A digest of all that would be read, and the time of its latest change in ns."""
        digest = hashlib.blake2b(digest_size=16)
        newest = 0
        for count, path in enumerate(self._paths()):
            if count == 0 and path.status is None:
                raise _unreadable(path)
            if count % 256 == 0 and should_stop():
                raise StoppedError
            digest.update(os.fsencode(path.path) + b"\0" + _identity(path).encode() + b"\0")
            if path.status is not None:
                newest = max(newest, path.status.st_mtime_ns, path.status.st_ctime_ns)
        return digest.hexdigest(), newest

    def _paths(self) -> Iterator[PathStatus]:
        yield from walk(self._path)
        yield from map(status_of, self._extra_files(self._path))


def _identity(path: PathStatus) -> str:
    """What distinguishes a changed file from an unchanged one. The inode's change time is part of
    it because a copy may preserve the size and the modification time. Of a directory only its
    inode: its times change with files that are not read."""
    status = path.status
    if status is None:
        return f"- {path.errno}"
    if stat.S_ISDIR(status.st_mode):
        return f"/ {status.st_dev} {status.st_ino}"
    return (
        f"{status.st_dev} {status.st_ino} {status.st_mode} {status.st_size} "
        f"{status.st_mtime_ns} {status.st_ctime_ns}"
    )


def _unreadable(path: PathStatus) -> ProblemError:
    reason = _REASONS.get(path.errno, "the operating system reports an error")
    return ProblemError(
        finding(
            "source-unreachable",
            f"The source {ascii(path.path)[1:-1]} cannot be read: {reason}.",
            hint="Check that the path exists and that the user that runs sendroute may read it.",
        )
    )
