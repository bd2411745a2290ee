"""What the loop needs from its adapters."""

from collections.abc import Callable
from typing import Protocol

from sendroute.model.followed_source import FollowedSource
from sendroute.reconcile.record import Record
from sendroute.runtime.followed_store import SharedStore


class LoopStore(Record, SharedStore, Protocol):
    """The store as the loop needs it. Errors are as for
    :class:`~sendroute.reconcile.record.Record`."""

    def forget_followed_source(self, name: str) -> None:
        """Delete what is known of a loop."""
        ...

    def write_followed_source(self, source: FollowedSource) -> None:
        """Insert or replace what a loop follows, without a new revision."""
        ...


OpenStore = Callable[[], LoopStore]
