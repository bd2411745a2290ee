"""The interface of a source that is followed, the same for every kind of source."""

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from sendroute.git.process import StoppedError as StoppedError
from sendroute.model.ancestry import CommitHistory


class SourceSnapshot(Struct, frozen=True):
    """One state of a source, from which a tree can be read.

    ``path`` is the directory or file of manifests to read. ``commit`` is the commit that it was
    checked out from; None for a directory. Two snapshots of one follower have the same
    ``fingerprint`` exactly if nothing changed between them. File names are shown relative to
    ``root``, the top of a checkout; None for a directory, whose names are shown as they are.
    ``submodules`` are empty directories in it: what they hold is not known. A directory has this
    state since ``changed_at``, on the clock of ``time.monotonic``, and may be in the middle of
    another change; None for a commit, which is whole.
    """

    path: str
    commit: str | None
    fingerprint: str
    root: str | None = None
    submodules: tuple[str, ...] = ()
    changed_at: float | None = None


class Follower(Protocol):
    """Used by one thread. A method that raised
    :class:`~sendroute.model.problem.ProblemError` may be called again at any time. No method leaves
    a process running."""

    @property
    def shown(self) -> str:
        """The source as it is logged: without the user of a URL, which may be a token."""
        ...

    def poll(self, should_stop: Callable[[], bool]) -> SourceSnapshot:
        """Get the newest state of the source.

        Args:
            should_stop: checked while the call waits.

        Returns:
            The state, with a path to read it from.

        Raises:
            ProblemError: the source is unavailable (``source-unreachable``) or the commit is not
                signed as required (``unsigned-commit``). Earlier snapshots stay as they are.
            StoppedError: ``should_stop()`` became true; raised promptly.
        """
        ...

    def unchanged(self, snapshot: SourceSnapshot) -> bool:
        """Check, after a snapshot was read, that the source did not change meanwhile.

        Args:
            snapshot: the snapshot that was read.

        Returns:
            False if it changed, or is unavailable: poll and read again.
        """
        ...

    def history(
        self, snapshot: SourceSnapshot, should_stop: Callable[[], bool]
    ) -> CommitHistory | None:
        """Get the history of a snapshot's commit. A question about it may fetch more of it.

        Args:
            snapshot: a snapshot of this follower.
            should_stop: checked while a question waits.

        Returns:
            The history; None if the source is a directory. Its methods raise as :meth:`poll` does.
        """
        ...

    def remember(self, snapshot: SourceSnapshot) -> None:
        """Remember a snapshot as the last good one.

        The newest snapshot and the one remembered last stay readable; any other may be removed by
        the next call of the follower. A directory cannot remember: it has only its current state.

        Args:
            snapshot: a snapshot of this follower.

        Raises:
            ProblemError: the state directory cannot be written (``unwritable``).
        """
        ...

    def last_good(self, should_stop: Callable[[], bool]) -> SourceSnapshot | None:
        """Get the snapshot that was remembered last, by this follower or, with a permanent state
        directory, by an earlier process.

        Args:
            should_stop: checked while the call waits.

        Returns:
            The snapshot; None if there is none.

        Raises:
            ProblemError, StoppedError: as for :meth:`poll`.
        """
        ...

    def close(self) -> None:
        """Release the state directory; remove it if it is temporary. May be called twice."""
        ...
