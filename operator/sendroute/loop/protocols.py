"""What the loop needs from its adapters."""

from collections.abc import Callable
from typing import Protocol

from sendroute.model.desired import AccountKey
from sendroute.model.followed_source import FollowedSource
from sendroute.model.provenance import AccountRevision, Head
from sendroute.reconcile.record import Record
from sendroute.runtime.wakeup import WatchedStore


class LoopStore(Record, WatchedStore, Protocol):
    """The store as the loop needs it. Errors are as for
    :class:`~sendroute.reconcile.record.Record`."""

    def head(self) -> Head:
        """The latest commit of the store."""
        ...

    def accounts(self) -> list[AccountKey]:
        """The accounts in the store, in order."""
        ...

    def changed_since(self, revision: int) -> dict[AccountKey, AccountRevision]:
        """The accounts that were changed after ``revision``, with the last revision that changed
        each. Removed accounts are left out."""
        ...

    def followed_sources(self) -> tuple[FollowedSource, ...]:
        """What loops follow, in the order of the sources' names."""
        ...

    def forget_followed_source(self, name: str) -> None:
        """Delete what is known of a loop."""
        ...

    def write_followed_source(self, source: FollowedSource) -> None:
        """Insert or replace what a loop follows, without a new revision."""
        ...


Open = Callable[[], LoopStore]
