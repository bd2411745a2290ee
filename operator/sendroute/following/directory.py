"""A directory, or one file, as it lies there."""

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from errno import EACCES, ENOENT, ENOTDIR

from sendroute.following.follower import StoppedError, Tree
from sendroute.following.walk import Met, meet, walk
from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError

# The kernel stamps files by a clock that ticks every 1 to 10 ms (CONFIG_HZ): of two writes within
# one tick, the second cannot be told from the first.
_TICK_NS = 20_000_000
_REASONS = {
    ENOENT: "there is no such file or folder",
    ENOTDIR: "a part of its path is no folder",
    EACCES: "permission denied",
}


class Directory:
    """A :class:`~sendroute.following.follower.Follower` of a path; a link to switch (as git-sync
    leaves, or a mounted ConfigMap) is followed anew at every look. ``beside`` names the files that
    are read with it although they are no manifests, be they there or not."""

    def __init__(
        self, path: str, beside: Callable[[str], Iterable[str]] = lambda _path: ()
    ) -> None:
        self._path = path
        self._beside = beside

    @property
    def shown(self) -> str:
        return self._path

    def look(self, should_stop: Callable[[], bool]) -> Tree:
        mark, newest = self._mark(should_stop)
        fresh = newest + _TICK_NS - time.time_ns()
        if 0 < fresh <= _TICK_NS:
            # Once: a file that is always being written is not waited for.
            time.sleep(fresh / 1e9)
            mark, _ = self._mark(should_stop)
        return Tree(self._path, None, mark)

    def unchanged(self, tree: Tree) -> bool:
        try:
            mark, _ = self._mark(lambda: False)
        except ProblemError:
            return False
        return mark == tree.mark

    def keep(self, tree: Tree) -> None:
        """A directory remembers nothing."""

    def last_good(self, should_stop: Callable[[], bool]) -> Tree | None:  # noqa: ARG002
        return None

    def close(self) -> None:
        """Nothing is held."""

    def _mark(self, should_stop: Callable[[], bool]) -> tuple[str, int]:
        """The signature of all that would be read, and when the newest of it changed, in ns."""
        signature = hashlib.blake2b(digest_size=16)
        newest = 0
        for count, met in enumerate(self._read()):
            if count == 0 and met.status is None:
                raise _gone(met)
            if count % 256 == 0 and should_stop():
                raise StoppedError
            signature.update(os.fsencode(met.path) + b"\0" + _facts(met).encode() + b"\0")
            if met.status is not None:
                newest = max(newest, met.status.st_mtime_ns, met.status.st_ctime_ns)
        return signature.hexdigest(), newest

    def _read(self) -> Iterator[Met]:
        yield from walk(self._path)
        yield from map(meet, self._beside(self._path))


def _facts(met: Met) -> str:
    """What tells a changed file from an unchanged one. The time of the inode's change is among it,
    for a copy may keep size and time of the content. Of a folder only which one it is: its times
    change with files that are not read."""
    status = met.status
    if status is None:
        return f"- {met.errno}"
    if stat.S_ISDIR(status.st_mode):
        return f"/ {status.st_dev} {status.st_ino}"
    return (
        f"{status.st_dev} {status.st_ino} {status.st_mode} {status.st_size} "
        f"{status.st_mtime_ns} {status.st_ctime_ns}"
    )


def _gone(met: Met) -> ProblemError:
    reason = _REASONS.get(met.errno, "the system does not let it be read")
    return ProblemError(
        finding(
            "source-unreachable",
            f"The source {ascii(met.path)[1:-1]} cannot be read: {reason}.",
            hint="What was applied before stands; give the user that runs sendroute the folder.",
        )
    )
