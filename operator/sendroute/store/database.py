"""What the two databases have in common: one statement serves both, and what differs is here."""

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Protocol, Self, TypeVar

from sqlalchemy import Connection

from sendroute.model.owner import Owner

T = TypeVar("T")
Work = Callable[[Connection], T]


class Watch(Protocol):
    """A context manager, for one thread. Closed from another thread, or by a signal's handler, it
    ends a wait at once."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def wait(self, timeout: float) -> bool:
        """True as soon as anything may have been committed by anybody since the last wait
        returned, or since the watch began; False after ``timeout`` seconds, or once closed."""
        ...

    def close(self) -> None: ...


class Database(Protocol):
    """An open one. Every method may raise its driver's errors, which
    :func:`~sendroute.store.translation.translated_errors` turns into a finding."""

    @property
    def location(self) -> str:
        """Names the store to people, free of any password."""
        ...

    def reading(self) -> AbstractContextManager[Connection]:
        """One transaction that sees one state."""
        ...

    def write(
        self,
        work: Work[T],
        *,
        accounts: Collection[Owner] = (),
        alone: bool = False,
        commit_id: str | None = None,
    ) -> T:
        """One transaction: all of ``work``, or on any error none.

        ``accounts`` are those that it changes; ``alone`` keeps every other writer out. It may run
        more than once, where a server had to be asked again. By ``commit_id``, which ``work``
        records with its revision, a commit whose answer was lost is found and not done twice;
        without one the work must be such that twice is as good as once.
        """
        ...

    def write_over(self, work: Work[T], commit_id: str) -> T:
        """Alone, and what it replaces cannot be read in the store's files afterwards."""
        ...

    def watch(self) -> Watch: ...

    def close(self) -> None: ...
