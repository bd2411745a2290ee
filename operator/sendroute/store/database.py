"""What the two databases have in common: one statement serves both, and what differs is here."""

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from sendroute.model.owner import Owner
from sendroute.store.address import is_postgres
from sendroute.store.watching import Watch

T = TypeVar("T")
Work = Callable[[Connection], T]


class Database(Protocol):
    """An open one. Every method may raise its driver's errors, which
    :func:`~sendroute.store.problems.told_plainly` turns into a finding."""

    @property
    def place(self) -> str:
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
        attempt: str | None = None,
    ) -> T:
        """One transaction: all of ``work``, or on any error none.

        ``accounts`` are those that it changes; ``alone`` keeps every other writer out. It may run
        more than once, where a server had to be asked again. By ``attempt``, which ``work``
        records with its revision, a commit whose answer was lost is found and not done twice;
        without one the work must be such that twice is as good as once.
        """
        ...

    def write_over(self, work: Work[T], attempt: str) -> T:
        """Alone, and what it replaces cannot be read in the store's files afterwards."""
        ...

    def watch(self) -> Watch: ...

    def close(self) -> None: ...


def open_database(url: str, busy_timeout: float) -> Database:
    """The database at a URL, which is there and bears our mark. ``busy_timeout``: seconds that
    another writer is waited for."""
    if is_postgres(url):
        from sendroute.store.postgres.database import open_postgres  # its driver costs 0.1 s

        return open_postgres(url, busy_timeout)
    from sendroute.store.sqlite.database import open_sqlite

    return open_sqlite(url, busy_timeout)
