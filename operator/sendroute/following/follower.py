"""What a loop may rely on, whatever it follows."""

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from sendroute.git.process import StoppedError as StoppedError


class Tree(Struct, frozen=True):
    """One state of the source. ``path`` is the folder or file of manifests to read, ``commit`` the
    one it was checked out at (None for a directory), and ``mark`` is the same for two trees of one
    follower exactly when nothing changed between them. File names are best shown from ``root``:
    the top of a checkout; None for a directory, whose names are shown as they are."""

    path: str
    commit: str | None
    mark: str
    root: str | None = None


class Follower(Protocol):
    """Used by one thread. Every method that can fail raises
    :class:`~sendroute.model.problem.ProblemError`; it may be called again at any time, and then
    says what is so by then. None leaves a process behind."""

    @property
    def shown(self) -> str:
        """The source as people may see it: without the user of a URL, who may be a token."""
        ...

    def look(self, should_stop: Callable[[], bool]) -> Tree:
        """The newest state.

        Raises ``ProblemError`` where it cannot be had (``source-unreachable``, ``unsigned-commit``;
        trees got before stay as they are), and ``StoppedError`` promptly once ``should_stop()`` is
        true.
        """
        ...

    def unchanged(self, tree: Tree) -> bool:
        """Whether what was read of a tree since ``look`` is one state of the source: ask when the
        reading is done, and where it says no, look and read anew."""
        ...

    def keep(self, tree: Tree) -> None:
        """Remember a tree as the last good one.

        Of all trees, the newest and the one kept last can be read; any other may be gone once a
        method of the follower is called again. A directory cannot remember: it has only what lies
        there.
        """
        ...

    def last_good(self, should_stop: Callable[[], bool]) -> Tree | None:
        """The tree that was kept last, by this follower or, where the state folder is a lasting
        one, by one before; None where there is none. Raises as ``look`` does."""
        ...

    def close(self) -> None:
        """Give up the state folder, and remove it where it was a temporary one. May be called
        twice."""
        ...
