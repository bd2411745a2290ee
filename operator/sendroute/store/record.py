"""The store that callers hold. Each method is one transaction; a problem that a person can cause
is raised as :class:`~sendroute.model.problem.ProblemError`."""

import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Self

from sqlalchemy import Connection, String, column, select, table
from sqlalchemy.exc import NoResultFound

from sendroute.model.account_status import AccountStatus
from sendroute.model.change import PLATFORM_KEY, AccountPlan, PlatformChange
from sendroute.model.current import Current
from sendroute.model.desired import AccountKey
from sendroute.model.provenance import Provenance
from sendroute.model.secret import SecretBinding
from sendroute.store import (
    account_status,
    committing,
    endpoints,
    going_back,
    history,
    lockfile,
    queries,
    reading,
    rekeying,
)
from sendroute.store.database import Database, open_database
from sendroute.store.endpoints import Sealed
from sendroute.store.errors import damaged, not_ours, problem
from sendroute.store.going_back import Head, Past
from sendroute.store.problems import told_plainly
from sendroute.store.records import (
    Endpoint,
    ExplainFacts,
    HistoryEntry,
    RelayRow,
    RouteRow,
    Status,
    StoredProfile,
)
from sendroute.store.tables import HEAD
from sendroute.store.watching import Watch

_VERSION = select(column("version_num", String)).select_from(table("alembic_version"))


def open_store(url: str, *, busy_timeout: float = 30.0) -> "Store":
    """The store at a URL, its schema brought forward where it is older than this program.

    ``busy_timeout``: seconds that another writer is waited for.
    """
    database = open_database(url, busy_timeout)
    try:
        bring_forward(database)
    except BaseException:
        database.close()
        raise
    return Store(database)


def bring_forward(database: Database) -> None:
    """Runs missing migrations, alone. Refuses a store of a later version."""
    place = database.place

    def missing_ones(connection: Connection) -> None:
        if version_of(connection, place) != HEAD:  # nobody else did meanwhile
            migrate(connection)

    with told_plainly(place):
        with database.reading() as connection:
            if version_of(connection, place) == HEAD:
                return
        # Imported here: it is half of the start, and no daily command needs it.
        from sendroute.store.migrate import migrate

        database.write(missing_ones, alone=True)


def version_of(connection: Connection, place: str) -> str:
    version = connection.execute(_VERSION).scalar()
    if not isinstance(version, str) or not version.isdecimal():
        raise not_ours(place)
    if int(version) > int(HEAD):
        raise problem(
            "store-version",
            f"The store {place} was written by a newer Sendroute.",
            "It was left untouched. Use the newer Sendroute here too.",
        )
    return version


class Store:
    """Close it, or use it as a context manager."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._identity = _identity(database.place)

    @property
    def place(self) -> str:
        """Names the store to people; no password is in it."""
        return self._database.place

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with told_plainly(self.place), self._database.reading() as connection:
            try:
                yield connection
            # A time, a route or an origin that is none; a revision of which there is nothing.
            except (ValueError, KeyError, NoResultFound) as error:
                raise damaged(self.place) from error

    def read(self, only: Collection[AccountKey] | None = None) -> Current:
        """What a plan starts from; ``only`` restricts it to some accounts."""
        with self._reading() as connection:
            return reading.read(connection, only)

    def read_sealed(self) -> tuple[Current, Sealed]:
        """What a plan starts from, and the sealed credentials of what is in use, by account and
        profile; the managed relay's under the platform's key. One read, so that they agree."""
        with self._reading() as connection:
            return reading.read(connection, None), endpoints.sealed(connection)

    def head(self) -> Head:
        """The revision that the store is at."""
        with self._reading() as connection:
            return going_back.head_of(connection)

    def knows(self, head: Head) -> bool:
        """Whether the store has come by a revision, or was brought to its state."""
        with self._reading() as connection:
            return going_back.knows(connection, head)

    def holders(self, domains: Iterable[str]) -> dict[str, AccountKey]:
        """The account that holds each of these domains, whichever it is."""
        with self._reading() as connection:
            return reading.holders(connection, domains)

    def commit(
        self,
        plans: Sequence[AccountPlan],
        platform: PlatformChange | None,
        provenance: Provenance,
        sealed: Sealed = MappingProxyType({}),
        back: Past | None = None,
    ) -> int:
        """Carries out a group of accounts' changes, and the platform's: all or none. ``sealed``
        are the credentials of what is new or changed. Returns the store's revision. Raises
        StaleError where something is not any more as it was planned on. ``back``: see
        :mod:`sendroute.store.going_back`.
        """
        attempt = str(uuid.uuid4())
        # Two that change the platform are one after the other too, so that its ids rise as well.
        locked = {PLATFORM_KEY} if platform is not None else set()
        with told_plainly(self.place):
            return self._database.write(
                lambda connection: committing.commit(
                    connection, plans, platform, provenance, sealed, attempt, back
                ),
                accounts=locked | {plan.key for plan in plans},
                attempt=attempt,
                alone=back is not None,
            )

    def is_current(self) -> bool:
        """Whether the file is still the one at its place, and was not moved away or replaced."""
        return self._identity == _identity(self.place)

    def changed_since(self, revision: int) -> dict[AccountKey, int]:
        """The accounts that a later revision changed, and the last one that did; one that was
        removed is not among them."""
        with self._reading() as connection:
            return account_status.changed_since(connection, revision)

    def account_statuses(self) -> dict[AccountKey, AccountStatus]:
        """What is not settled, in the order of accounts."""
        with self._reading() as connection:
            return {one.key: one for one in account_status.read(connection)}

    def write_account_statuses(
        self, written: Sequence[AccountStatus], cleared: Collection[AccountKey]
    ) -> None:
        """No revision: it changes nothing of what is assigned. An approval stays with the plan
        that it is for."""
        if written or cleared:
            with told_plainly(self.place):
                self._database.write(
                    lambda connection: account_status.write(connection, written, cleared)
                )

    def approve(self, shown: AccountStatus, provenance: Provenance) -> bool:
        """Lets through the plan that is held back; False where another is by now, or none."""
        attempt = str(uuid.uuid4())
        with told_plainly(self.place):
            return self._database.write(
                lambda connection: account_status.approve(connection, shown, provenance, attempt),
                accounts={shown.key},
                attempt=attempt,
            )

    def endpoints(self) -> list[Endpoint]:
        """Every revision of a destination, those that were replaced included."""
        with self._reading() as connection:
            return list(endpoints.all_of(connection))

    def rekey(self, anew: Callable[[str, SecretBinding], str], provenance: Provenance) -> int:
        """Every credential through ``anew``, in one transaction; how many there are. What it
        raises leaves all as it was."""
        with told_plainly(self.place):
            return rekeying.rekey(self._database, anew, provenance)

    def accounts(self) -> list[AccountKey]:
        with self._reading() as connection:
            return queries.accounts(connection)

    def profiles(self) -> list[StoredProfile]:
        with self._reading() as connection:
            return list(queries.profiles(connection))

    def routes(
        self,
        domains: Collection[str] = (),
        account: AccountKey | None = None,
        profile: str | None = None,
    ) -> list[RouteRow]:
        """By name; those that fit all that is given. A domain that none holds is left out."""
        with self._reading() as connection:
            return list(queries.routes(connection, domains, account, profile))

    def explain_facts(self, domain: str) -> ExplainFacts:
        with self._reading() as connection:
            return queries.explain_facts(connection, domain)

    def history(
        self,
        *,
        domain: str | None = None,
        account: AccountKey | None = None,
        limit: int | None = None,
    ) -> list[HistoryEntry]:
        """The latest first."""
        with self._reading() as connection:
            return history.history_of(connection, domain, account, limit)

    def status(self) -> Status:
        with self._reading() as connection:
            return queries.status(connection)

    def relays(self) -> tuple[RelayRow, ...]:
        with self._reading() as connection:
            return queries.relays(connection)

    def watch(self) -> Watch:
        """Waits for commits by anybody; what was committed before it was made is none."""
        with told_plainly(self.place):
            return self._database.watch()

    def write_lock(self, path: Path) -> None:
        """Writes the whole state as a lock file, whole or not at all."""
        with self._reading() as connection:
            lock = lockfile.take(connection)
        lockfile.write(lock, path)


def _identity(place: str) -> tuple[int, int] | None:
    """None where it is no file: that of a server, or gone."""
    try:
        status = Path(place).stat()  # never opened: closing it would give up SQLite's locks
    except OSError:
        return None
    return status.st_dev, status.st_ino
