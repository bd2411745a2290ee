"""What the loop needs from its adapters."""

from collections.abc import Callable
from typing import Protocol, Self, TypeVar

from sendroute.model.account_status import ReportedFinding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding
from sendroute.model.followed_source import FollowedSource
from sendroute.model.provenance import Head
from sendroute.reconcile.record import Record

AnyFinding = TypeVar("AnyFinding", Finding, ReportedFinding)


class Advise(Protocol):
    """Appends a finding's remedy to its hint, in the form of the front end."""

    def __call__(self, finding: AnyFinding, /) -> AnyFinding: ...


class Health(Protocol):
    """What the HTTP server answers at ``/healthz`` and ``/readyz``."""

    def beat(self) -> None:
        """Report that the loop is alive."""
        ...

    def ready(self, reason: str) -> None:
        """Report readiness, with a sentence that is visible to everyone who can connect."""
        ...

    def not_ready(self, reason: str) -> None:
        """Report that the process is not ready, with a sentence as for :meth:`ready`."""
        ...


class Watch(Protocol):
    """A context manager for one thread. ``close`` may be called by another thread, and ends a wait
    at once."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def wait(self, timeout: float) -> bool:
        """Wait until a process, this one included, may have committed.

        Returns:
            False if there was no commit within ``timeout`` seconds, or the watch was closed.

        Raises:
            ProblemError: the store is unavailable.
        """
        ...

    def close(self) -> None:
        """Close the watch, which ends a wait at once."""
        ...


class LoopStore(Record, Protocol):
    """The store as the loop needs it. Errors are as for
    :class:`~sendroute.reconcile.record.Record`."""

    def head(self) -> Head:
        """The latest commit of the store."""
        ...

    def accounts(self) -> list[AccountKey]:
        """The accounts in the store, in order."""
        ...

    def changed_since(self, revision: int) -> dict[AccountKey, int]:
        """The accounts that were changed after ``revision``, with the last revision that changed
        each. Deleted accounts are left out."""
        ...

    def followed_sources(self) -> tuple[FollowedSource, ...]:
        """What loops follow, in the order of the sources' names."""
        ...

    def write_followed_source(self, source: FollowedSource) -> None:
        """Insert or replace what a loop follows, without a new revision."""
        ...

    def watch(self) -> Watch:
        """A watch for commits by any process after this call."""
        ...

    def is_current(self) -> bool:
        """Whether the file at the store's path is still this store. Opens nothing."""
        ...

    def close(self) -> None:
        """Close the store; closing it twice is no error."""
        ...


Open = Callable[[], LoopStore]
