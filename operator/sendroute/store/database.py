"""The interface that the two databases implement. Statements are the same for both."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, Self, TypeVar

from sqlalchemy import Connection

from sendroute.model.owner import Owner

T = TypeVar("T")
Work = Callable[[Connection], T]
Row = tuple[Any, ...]
"""The values of one row, in the order of the columns."""


class CommitWatch(Protocol):
    """Waits for commits. A context manager for one thread; ``close`` may be called from another
    thread or from a signal handler, and ends a wait at once."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def wait(self, timeout: float) -> bool:
        """Wait for a commit by any process.

        Args:
            timeout: seconds to wait at most.

        Returns:
            True as soon as there may be a commit since the last wait returned, or since the watch
            began; False after ``timeout`` seconds, or when closed.
        """
        ...

    def close(self) -> None:
        """Close the watch, which ends a wait at once."""
        ...


class Database(Protocol):
    """An open database. Every method may raise errors of the driver;
    :func:`~sendroute.store.translation.translated_errors` turns them into findings."""

    @property
    def location(self) -> str:
        """The store's location for messages, without any password."""
        ...

    def reading(self) -> AbstractContextManager[Connection]:
        """A read transaction that sees one state."""
        ...

    def objects(self, connection: Connection) -> Sequence[tuple[str, str]]:
        """The kind and name, and the definition, of everything in the schema besides rows. Reading
        them runs nothing that the schema contains."""
        ...

    def write(
        self,
        work: Work[T],
        *,
        accounts: Collection[Owner] = (),
        alone: bool = False,
        commit_id: str | None = None,
    ) -> T:
        """Run ``work`` in one transaction: all of it is committed, or nothing.

        ``work`` may run again after a conflict or a lost connection. It records ``commit_id`` with
        its revision, so that a commit whose confirmation was lost is detected and not repeated;
        without a ``commit_id`` it must be idempotent.

        Args:
            work: writes with the connection that it is called with.
            accounts: the accounts that it changes.
            alone: exclude every other writer.
            commit_id: identifies the commit.

        Returns:
            What ``work`` returns.
        """
        ...

    def write_over(self, work: Work[T], commit_id: str) -> T:
        """Run ``work`` without other writers, and remove the replaced values from the store's
        files. Returns what ``work`` returns."""
        ...

    def watch(self) -> CommitWatch:
        """A watch for commits by any process after this call."""
        ...

    def close(self) -> None:
        """Close every connection."""
        ...
