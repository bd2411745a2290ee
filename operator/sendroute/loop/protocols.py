"""The outside as the loop sees it."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from sendroute.model.standing import Standing
from sendroute.model.wanted import AccountKey
from sendroute.reconcile.record import Record


class Head(Protocol):
    @property
    def lineage(self) -> str: ...
    @property
    def revision(self) -> int: ...


class Watch(Protocol):
    def wait(self, timeout: float) -> bool:
        """Whether anybody, ourselves included, may have committed; False after so many seconds
        without. Raises :class:`~sendroute.model.problem.ProblemError` where the store is away."""
        ...


class Store(Record, Protocol):
    def head(self) -> Head: ...
    def accounts(self) -> list[AccountKey]: ...
    def changed_since(self, revision: int) -> dict[AccountKey, int]: ...
    def standings(self) -> dict[AccountKey, Standing]: ...
    def write_standings(
        self, written: Sequence[Standing], cleared: Collection[AccountKey]
    ) -> None: ...
    def watch(self) -> AbstractContextManager[Watch]: ...


Open = Callable[[], AbstractContextManager[Store]]
"""The store, opened anew each time: a file that was moved away or replaced is noticed so, where
an open one would go on being written with nobody to read it."""
