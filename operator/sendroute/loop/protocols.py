"""The outside as the loop sees it."""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol, Self

from sendroute.model.account_status import AccountStatus
from sendroute.model.desired import AccountKey
from sendroute.model.owner import Owner
from sendroute.reconcile.record import Record


class Head(Protocol):
    """The latest revision: its number, and the name that no other has, in whatever store."""

    @property
    def revision(self) -> int: ...
    @property
    def commit_id(self) -> str | None: ...


class Health(Protocol):
    """What is told to those who ask over HTTP whether it goes on, and whether it is ready."""

    def beat(self) -> None: ...
    def ready(self, reason: str) -> None: ...
    def not_ready(self, reason: str) -> None: ...


class Watch(Protocol):
    """A context manager, for one thread; closed from another, it ends a wait at once."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def wait(self, timeout: float) -> bool:
        """Whether anybody, ourselves included, may have committed; False after so many seconds
        without, or once closed. Raises :class:`~sendroute.model.problem.ProblemError` where the
        store is away."""
        ...

    def close(self) -> None: ...


class Store(Record, Protocol):
    def head(self) -> Head: ...
    def accounts(self) -> list[AccountKey]: ...
    def changed_since(self, revision: int) -> dict[AccountKey, int]: ...
    def account_statuses(self) -> dict[Owner, AccountStatus]: ...
    def write_account_statuses(
        self, written: Sequence[AccountStatus], cleared: Collection[Owner]
    ) -> None: ...
    def watch(self) -> Watch: ...
    def is_current(self) -> bool:
        """Whether it is still the one at its place; asked without opening anything."""
        ...

    def close(self) -> None: ...


Open = Callable[[], Store]
