"""What the loop needs from its adapters."""

from collections.abc import Callable
from typing import Protocol, Self

from sendroute.model.desired import AccountKey
from sendroute.model.provenance import Head
from sendroute.reconcile.record import Record


class Health(Protocol):
    """What the HTTP server answers at ``/healthz`` and ``/readyz``."""

    def beat(self) -> None: ...
    def ready(self, reason: str) -> None: ...
    def not_ready(self, reason: str) -> None: ...


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

    def close(self) -> None: ...


class LoopStore(Record, Protocol):
    def head(self) -> Head: ...
    def accounts(self) -> list[AccountKey]: ...
    def changed_since(self, revision: int) -> dict[AccountKey, int]: ...
    def watch(self) -> Watch: ...
    def is_current(self) -> bool:
        """Whether the file at the store's path is still this store. Opens nothing."""
        ...

    def close(self) -> None: ...


Open = Callable[[], LoopStore]
