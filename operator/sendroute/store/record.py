"""The store that callers use. Each method is one transaction, and raises
:class:`~sendroute.model.problem.ProblemError` instead of a database error."""

import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Generic, Self, TypeVar

from msgspec.structs import replace
from sqlalchemy import Connection

from sendroute.model.account_status import AccountStatus
from sendroute.model.ancestry import AppliedCommit
from sendroute.model.change import AccountPlan, PlatformChange
from sendroute.model.credential import EncryptedCredentials
from sendroute.model.current import Current, CurrentAccount
from sendroute.model.desired import AccountKey, ProfileName
from sendroute.model.export import StoreExport
from sendroute.model.followed_source import FollowedSource
from sendroute.model.nexthop import Alias
from sendroute.model.owner import PLATFORM, Owner
from sendroute.model.provenance import AccountRevision, Head, Provenance
from sendroute.model.records import (
    Endpoint,
    ExplainFacts,
    HistoryEntry,
    Rekeyed,
    RelayRow,
    RelayUpdate,
    RestorePoint,
    RouteFilter,
    RouteRow,
    RouteStream,
    StoredProfile,
    StoreStatus,
)
from sendroute.model.secret import SecretBinding
from sendroute.store import (
    account_status,
    applied_commits,
    commit,
    current_state,
    endpoints,
    epochs,
    export,
    followed_sources,
    history,
    lockfile,
    queries,
    relays,
    restore,
    revisions,
)
from sendroute.store.backend import open_database
from sendroute.store.database import CommitWatch, Database
from sendroute.store.errors import damaged
from sendroute.store.schema import upgrade_schema
from sendroute.store.translation import rows_of, translated_errors
from sendroute.store.url import BUSY_TIMEOUT


def open_store(url: str, *, busy_timeout: float = BUSY_TIMEOUT) -> "Store":
    """Open the store at a URL, and upgrade its schema if it is older than this program.

    Args:
        url: the store's URL, of SQLite or PostgreSQL.
        busy_timeout: seconds to wait for another writer.

    Returns:
        The open store; the caller closes it.

    Raises:
        ProblemError: ``not-initialised``, ``wrong-store``, ``store-version``, ``store-failed`` or
            ``store-locked``.
    """
    database = open_database(url, busy_timeout)
    try:
        upgrade_schema(database)
    except BaseException:  # also if interrupted: nothing else closes it
        database.close()
        raise
    return Store(database)


_T = TypeVar("_T")


class _Rereadable(Generic[_T]):
    """Each iteration reads the rows again."""

    def __init__(self, read: Callable[[], Iterator[_T]], location: str) -> None:
        self._read = read
        self._location = location

    def __iter__(self) -> Iterator[_T]:
        try:
            yield from self._read()
        except (ValueError, KeyError) as error:
            raise damaged(self._location) from error


class Store:
    """An open store. Close it, or use it as a context manager.

    Each method is one transaction. Instead of a database error it raises
    :class:`~sendroute.model.problem.ProblemError`, for example ``store-locked`` while another
    writer works, or ``store-failed`` if the database is unavailable or its content is damaged."""

    def __init__(self, database: Database) -> None:
        self._open: Database | None = database
        self._location = database.location
        self._identity = _identity(database.location)
        self._epoch: int | None = None
        self._versions: Mapping[str, int] = MappingProxyType({})

    @property
    def location(self) -> str:
        """The path of a SQLite file, or the server's URL without any password, for messages."""
        return self._location

    @property
    def _database(self) -> Database:
        """The database. After :meth:`close` every use is a mistake of the caller: the engine would
        connect again, and nobody would close that connection."""
        if self._open is None:
            raise ValueError(f"The store {self._location} is closed. Open it again.")
        return self._open

    def __enter__(self) -> Self:
        self._database  # noqa: B018 - raises if it is closed
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store; closing it twice is no error. Any later use raises ValueError."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _write(
        self,
        work: Callable[[Connection], _T],
        *,
        accounts: Collection[Owner] = (),
        alone: bool = False,
        commit_id: str | None = None,
        latest: Collection[str] = (),
    ) -> _T:
        """As :meth:`~sendroute.store.database.Database.write`. A leader that was replaced writes
        nothing, nor does a plan whose tree's commits, ``latest``, were replaced."""
        number, versions = self._epoch, self._versions

        def fenced(connection: Connection) -> _T:
            if number is not None:
                epochs.check_epoch(connection, number, versions)
            applied_commits.check(connection, latest)
            return work(connection)

        return self._database.write(fenced, accounts=accounts, alone=alone, commit_id=commit_id)

    def raise_epoch(self, leader: str) -> int:
        """Begin the epoch of a new leader: everything that an earlier leader tries to write through
        a fenced store is refused from now on.

        Args:
            leader: the name of the new leader.

        Returns:
            The number of the epoch, for :meth:`fence`.
        """
        with translated_errors(self.location):
            return self._database.write(lambda connection: epochs.raise_epoch(connection, leader))

    def fence(self, epoch: int, versions: Mapping[str, int] = MappingProxyType({})) -> None:
        """Write nothing more once another leader has begun an epoch: each transaction checks it,
        and raises ProblemError (``leader-replaced``) instead of writing.

        Args:
            epoch: what :meth:`raise_epoch` returned.
            versions: what this leader has seen of the objects, for :meth:`object_versions`: each
                transaction records it.
        """
        self._epoch, self._versions = epoch, versions

    def object_versions(self) -> dict[str, int]:
        """Return the newest version of the objects that a leader had seen when it wrote last, by
        kind. What an object declared before may not be reconciled any more."""
        with self._reading() as connection:
            return epochs.object_versions(connection)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with (
            translated_errors(self.location),
            self._database.reading() as connection,
            rows_of(self.location),
        ):
            yield connection

    @contextmanager
    def _streaming(self) -> Iterator[Connection]:
        """As :meth:`_reading`, but leaves errors of the caller's block unchanged."""
        with translated_errors(self.location), self._database.reading() as connection:
            yield connection

    def read(self, only: Collection[AccountKey] | None = None) -> Current:
        """Return the current state, from which a plan is made, of the accounts in ``only``; None
        for all."""
        with self._reading() as connection:
            return current_state.read(connection, only)

    def read_with_credentials(self) -> tuple[Current, EncryptedCredentials]:
        """Return the current state, and the encrypted credentials of the endpoints in use by
        account and profile (those of the platform's relays under its key), at one revision."""
        with self._reading() as connection:
            current = replace(
                current_state.read(connection, None),
                undecryptable=endpoints.undecryptable(connection),
            )
            return current, endpoints.encrypted(connection)

    @contextmanager
    def snapshot(self) -> Iterator["StoreSnapshot"]:
        """Return one revision of the store, to read some accounts and ask for holders of
        domains."""
        with self._reading() as connection:
            yield StoreSnapshot(connection)

    def head(self) -> Head:
        """Return the revision that the store is at."""
        with self._reading() as connection:
            return revisions.head_of(connection)

    def contains(self, head: Head) -> bool:
        """Return whether a commit is in the store's history, or the store was restored to it.

        Args:
            head: the revision and the id of the commit.
        """
        with self._reading() as connection:
            return revisions.contains(connection, head)

    def is_changed_since(self, head: Head) -> bool:
        """Whether anything that a lock file of that commit holds was changed after it. A store
        that was restored to the commit, or created from it, is at the commit."""
        with self._reading() as connection:
            return history.is_changed_since(connection, head)

    def holders(self, domains: Iterable[str]) -> dict[str, AccountKey]:
        """Return the account that has each of these domains; unknown domains are left out."""
        with self._reading() as connection:
            return current_state.holders(connection, domains)

    def commit(
        self,
        plans: Sequence[AccountPlan],
        platform: PlatformChange | None,
        provenance: Provenance,
        encrypted: EncryptedCredentials = MappingProxyType({}),
        latest: Collection[str] = (),
    ) -> int:
        """Write the changes of a group of accounts, and of the platform, as one revision: all or
        nothing.

        Args:
            plans: the accounts.
            platform: the platform's change; None if it does not change.
            provenance: who applies it, when, and from which commit.
            encrypted: the encrypted credentials of new or changed profiles, and of the relay.
            latest: commits that must still be among those applied last.

        Returns:
            The store's revision.

        Raises:
            StaleError: an account or the platform changed after the plan was made, or a commit in
                ``latest`` was replaced.
        """
        commit_id = str(uuid.uuid4())
        # Commits that change the platform wait for each other, so that its ids rise too.
        locked: set[Owner] = {PLATFORM} if platform is not None else set()
        with translated_errors(self.location):
            return self._write(
                lambda connection: commit.commit(
                    connection, plans, platform, provenance, encrypted, commit_id
                ),
                accounts=locked | {plan.key for plan in plans},
                commit_id=commit_id,
                latest=latest,
            )

    def commit_groups(
        self,
        groups: Sequence[Sequence[AccountPlan]],
        provenance: Provenance,
        encrypted: EncryptedCredentials = MappingProxyType({}),
        latest: Collection[str] = (),
    ) -> list[int]:
        """Write several groups of accounts in one transaction, each as a separate revision. This is
        cheaper than calling :meth:`commit` for each.

        Args:
            groups: the accounts of each group. Every group must have something to write.
            provenance: who applies them, when, and from which commit.
            encrypted: the encrypted credentials of new or changed profiles.
            latest: commits that must still be among those applied last.

        Returns:
            The revision of each group, in order.

        Raises:
            StaleError: as for :meth:`commit`; then no group is written.
        """
        commit_ids = [str(uuid.uuid4()) for _ in groups]
        with translated_errors(self.location):
            return self._write(
                lambda connection: commit.commit_groups(
                    connection, groups, provenance, encrypted, commit_ids
                ),
                accounts={plan.key for group in groups for plan in group},
                commit_id=commit_ids[-1],
                latest=latest,
            )

    def restore(
        self,
        plans: Sequence[AccountPlan],
        platform: PlatformChange | None,
        point: RestorePoint,
        provenance: Provenance,
        encrypted: EncryptedCredentials = MappingProxyType({}),
    ) -> int:
        """Write the changes that return the store to an earlier state, without other writers.

        Args:
            plans: the changes of the accounts.
            platform: the platform's change; None if it does not change.
            point: the earlier state.
            provenance: who restores it, and when.
            encrypted: the encrypted credentials of the restored profiles, and of the relay.

        Returns:
            The store's revision.

        Raises:
            StaleError: something was committed after the restore was planned.
        """
        commit_id = str(uuid.uuid4())
        with translated_errors(self.location):
            return self._write(
                lambda connection: restore.restore(
                    connection, plans, platform, point, provenance, encrypted, commit_id
                ),
                commit_id=commit_id,
                alone=True,
            )

    def is_current(self) -> bool:
        """Whether the file at a SQLite store's path is still this store; False if it was moved or
        replaced. Always true for PostgreSQL."""
        return self._identity == _identity(self.location)

    def changed_since(self, revision: int) -> dict[Owner, AccountRevision]:
        """Return the accounts that were changed after ``revision``, and the platform if it was,
        with the last revision that changed each. Deleted accounts are left out."""
        with self._reading() as connection:
            return account_status.changed_since(connection, revision)

    def account_statuses(self) -> dict[Owner, AccountStatus]:
        """Return why accounts were not applied completely, in the order of accounts."""
        with self._reading() as connection:
            return {status.key: status for status in account_status.read(connection)}

    def write_account_statuses(
        self, written: Sequence[AccountStatus], cleared: Collection[Owner]
    ) -> None:
        """Insert, replace and delete statuses, without a new revision, because no route changes.
        An approval is kept as long as the digest of its plan is the same.

        Args:
            written: the statuses to insert or replace.
            cleared: the accounts, or the platform, whose statuses are deleted.
        """
        if written or cleared:
            with translated_errors(self.location):
                self._write(lambda connection: account_status.write(connection, written, cleared))

    def followed_sources(self) -> tuple[FollowedSource, ...]:
        """Return what loops follow, in the order of the sources' names."""
        with self._reading() as connection:
            return followed_sources.read(connection)

    def write_followed_source(self, source: FollowedSource) -> None:
        """Insert or replace what a loop follows, without a new revision.

        Args:
            source: the source, and the tree that is served.
        """
        with translated_errors(self.location):
            self._write(lambda connection: followed_sources.write(connection, source))

    def forget_followed_source(self, name: str) -> None:
        """Delete what is known of a loop.

        Args:
            name: the name of its source.
        """
        with translated_errors(self.location):
            self._write(lambda connection: followed_sources.forget(connection, name))

    def applied_commits(self) -> list[AppliedCommit]:
        """Return the commits that manifests were applied from last, in order."""
        with self._reading() as connection:
            return applied_commits.read(connection)

    def record_commits(
        self,
        trees: Collection[AppliedCommit],
        replaced: Collection[AppliedCommit],
        seen: Collection[AppliedCommit],
    ) -> None:
        """Remember that manifests are applied from these commits, without a new revision.

        Args:
            trees: the commits, one of each repository of the manifests.
            replaced: the commits that they replace.
            seen: the commits that they were compared with.

        Raises:
            StaleError: another one was recorded meanwhile.
        """
        with translated_errors(self.location):
            self._write(
                lambda connection: applied_commits.record(connection, trees, replaced, seen)
            )

    def approve(self, shown: AccountStatus, provenance: Provenance) -> bool:
        """Approve a held-back plan.

        Args:
            shown: the status that the user approves; its digest identifies the plan.
            provenance: who approves it, and when.

        Returns:
            False, and nothing is written, if that plan is no longer held back.
        """
        commit_id = str(uuid.uuid4())
        with translated_errors(self.location):
            return self._write(
                lambda connection: account_status.approve(connection, shown, provenance, commit_id),
                accounts={shown.key},
                commit_id=commit_id,
            )

    def has_undecryptable(self) -> bool:
        """Whether the store has credentials of a key that was not given when it was created from a
        backup."""
        with self._reading() as connection:
            return bool(endpoints.undecryptable(connection))

    def endpoints(self, only: Collection[Alias] | None = None) -> list[Endpoint]:
        """Return every revision of every destination, retired ones included.

        Args:
            only: the aliases to read; None for all.
        """
        with self._reading() as connection:
            return list(endpoints.all_endpoints(connection, only))

    def rekey(
        self, encrypt: Callable[[str, SecretBinding], str | None], provenance: Provenance
    ) -> Rekeyed:
        """Replace every encrypted credential that can be decrypted, in one transaction.

        The old credentials are removed from the store's files, because another person may know the
        old key.

        Args:
            encrypt: returns the new token for a token and its binding, and None if no key
                decrypts the token. If it raises, nothing changes.
            provenance: who replaces the credentials, and when.

        Returns:
            The number of replaced credentials, and the endpoints that keep theirs.

        Raises:
            ProblemError: ``credential-unreadable`` if a credential in use cannot be decrypted, and
                its key was not lost with the store; or if none can be. Then nothing changes.
        """
        commit_id = str(uuid.uuid4())
        with translated_errors(self.location):
            return self._database.write_over(
                lambda connection: endpoints.rekey(connection, encrypt, provenance, commit_id),
                commit_id,
            )

    def accounts(self) -> list[AccountKey]:
        """Return the accounts, in order."""
        with self._reading() as connection:
            return queries.accounts(connection)

    def removed_accounts(self, keys: Iterable[AccountKey]) -> frozenset[AccountKey]:
        """Return the accounts that were in the store once, by its history, and no longer are.

        Args:
            keys: the accounts to look for.
        """
        absent = frozenset(keys)
        if not absent:
            return absent
        with self._reading() as connection:
            current = queries.accounts(connection)
            return frozenset(
                key
                for key in absent.difference(current)
                if history.history_of(connection, history.HistoryFilter(owner=key, limit=1))
            )

    def removed_accounts_named(self, name: str) -> frozenset[AccountKey]:
        """Return the accounts of this name that were in the store once, and no longer are.

        Args:
            name: the name, in any namespace.
        """
        with self._reading() as connection:
            return history.accounts_named(connection, name).difference(queries.accounts(connection))

    def logins(self) -> dict[AccountKey, tuple[str, ...]]:
        """Return the logins of each account that specifies any."""
        with self._reading() as connection:
            return queries.logins(connection)

    def profiles(self) -> list[StoredProfile]:
        """Return the profiles, in the order of accounts and names."""
        with self._reading() as connection:
            return list(queries.profiles(connection))

    def routes(
        self,
        domains: Collection[str] = (),
        account: AccountKey | None = None,
        profile: str | None = None,
    ) -> list[RouteRow]:
        """List the assigned routes of domains.

        Args:
            domains: the names of the domains; empty for all. A domain that is not in the store is
                left out.
            account: only the domains of this account; None for all.
            profile: only the domains that are assigned to a profile of this name; None for all.

        Returns:
            The domains that match all arguments, in the order of accounts and names.
        """
        with self._reading() as connection:
            if not domains:
                return list(queries.all_routes(connection, RouteFilter(account, profile)))
            rows = list(queries.routes(connection, domains, account, profile))
        return sorted(rows, key=lambda row: (row.account, row.domain))

    @contextmanager
    def route_stream(
        self,
        chosen: RouteFilter = RouteFilter(),  # noqa: B008 - it is frozen
    ) -> Iterator[RouteStream]:
        """As :meth:`routes`, for a store of any size. The read transaction lasts as long as the
        block.

        Args:
            chosen: which domains.

        Yields:
            The rows, some thousands at a time, and the groups of equal rows.
        """
        with self._streaming() as connection:
            yield RouteStream(
                _Rereadable(lambda: queries.all_routes(connection, chosen), self.location),
                _Rereadable(lambda: queries.route_groups(connection, chosen), self.location),
            )

    @contextmanager
    def export_stream(self) -> Iterator[StoreExport]:
        """Return what the manifests of the store declare, at one revision, for a store of any size.
        The read transaction lasts as long as the block."""
        with self._streaming() as connection:
            yield StoreExport(
                export.exported_platform(connection),
                export.ambiguous_names(connection),
                export.shared_profiles(connection),
                _Rereadable(lambda: export.exported_accounts(connection), self.location),
            )

    def explain_facts(self, domain: str) -> ExplainFacts:
        """Return what an explanation needs to know about a domain, at one revision."""
        with self._reading() as connection:
            return queries.explain_facts(connection, domain)

    def history(
        self,
        *,
        domain: str | None = None,
        owner: Owner | None = None,
        profile: tuple[str | None, str] | None = None,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> list[HistoryEntry]:
        """List the changes that were committed.

        Args:
            domain: only the entries of this domain; None for all.
            owner: only the entries of this account, or of the platform; None for all.
            profile: only the entries of profiles with this namespace (None for any) and name; with
                an owner, the entries of both.
            since: only the entries of the first revision of this time or later, and of those after
                it; None for all.
            limit: the maximum number of entries; None for all.

        Returns:
            The entries, the latest first.
        """
        chosen = history.HistoryFilter(domain, owner, profile, since, limit)
        with self._reading() as connection:
            return history.history_of(connection, chosen)

    def created_from_lock(self) -> HistoryEntry | None:
        """Return the entry of the store's creation from a lock file, of which it has no earlier
        history; None if it was created in another way."""
        with self._reading() as connection:
            return history.from_lock(connection)

    def status(self) -> StoreStatus:
        """Return the store's revision, its counts and its relays."""
        with self._reading() as connection:
            return queries.status(connection)

    def relays(self) -> tuple[RelayRow, ...]:
        """Return the relays, in the order of their names."""
        with self._reading() as connection:
            return relays.relays(connection)

    @contextmanager
    def relay_update(self, lineage: str | None, served: Head | None) -> Iterator[RelayUpdate]:
        """What a relay needs to serve the store's revision, for a store of any size. The read
        transaction lasts as long as the block.

        Args:
            lineage: that of the store whose revision is served.
            served: the revision that is served; None for none.

        Yields:
            What changed since then; everything if the store does not contain that revision.
        """
        with self._streaming() as connection:
            yield relays.update_since(connection, lineage, served)

    def report_relay(self, name: str, served: Head) -> bool:
        """Record, without a new revision, that a relay serves a revision, and was seen now.

        Args:
            name: the relay's name.
            served: the revision.

        Returns:
            False, and nothing is written, if the store does not contain that revision: it was
            restored or replaced.
        """
        with translated_errors(self.location):
            return self._write(lambda connection: relays.report(connection, name, served))

    def forget_relay(self, name: str) -> bool:
        """Delete what is known of a relay. A relay that is running is known again soon.

        Args:
            name: the relay's name.

        Returns:
            Whether it was known.
        """
        with translated_errors(self.location):
            return self._write(lambda connection: relays.forget(connection, name))

    def watch(self) -> CommitWatch:
        """Return a context manager that waits for commits by any process after this call."""
        with translated_errors(self.location):
            return self._database.watch()

    def write_lock(self, path: Path) -> None:
        """Write the current state as a lock file, completely or not at all.

        Args:
            path: the path of the file; an existing one is replaced.

        Raises:
            ProblemError: the file cannot be written; see :func:`sendroute.store.lockfile.write`.
        """
        with self._reading() as connection:
            lock = lockfile.lock_of(connection)
        lockfile.write(lock, path)


class StoreSnapshot:
    """One revision of a store, independent of later commits. The cost of a read depends only on the
    requested accounts or domains."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read_accounts(self, keys: Collection[AccountKey]) -> Current:
        """The current state of some accounts, with the lineage, the revision, the platform, and the
        credentials of a lost key."""
        current = current_state.read(self._connection, keys)
        return replace(current, undecryptable=endpoints.undecryptable(self._connection))

    def accounts(self, keys: Collection[AccountKey]) -> dict[AccountKey, CurrentAccount]:
        """The state of these accounts; an account that is not in the store is left out."""
        return self.read_accounts(keys).accounts

    def encrypted(self, keys: Collection[AccountKey]) -> EncryptedCredentials:
        """The encrypted credentials of these accounts' endpoints in use, and the managed
        relay's."""
        return endpoints.encrypted(self._connection, keys)

    def holders(self, domains: Iterable[str]) -> dict[str, AccountKey]:
        """The account that has each of these domains; unknown domains are left out."""
        return current_state.holders(self._connection, domains)

    def profile_holders(
        self, profiles: Collection[ProfileName]
    ) -> dict[ProfileName, frozenset[AccountKey]]:
        """The accounts of its namespace that hold each of these profiles; a profile that no account
        holds is left out."""
        return current_state.profile_holders(self._connection, profiles)

    def domain_count(self) -> int:
        """The number of domains in the store."""
        return current_state.domain_count(self._connection)

    def accounts_on_managed(self) -> frozenset[AccountKey]:
        """The accounts that hold a domain that is sent through the managed relay."""
        return current_state.accounts_on_managed(self._connection)

    def domains_by_account(self) -> dict[AccountKey, int]:
        """The number of domains of each account; an account that holds none is left out."""
        return current_state.domains_by_account(self._connection)


def _identity(location: str) -> tuple[int, int] | None:
    """Device and inode of a file; None for a server's URL or a missing file."""
    try:
        status = Path(
            location
        ).stat()  # not opened, because closing it would release SQLite's locks
    except OSError:
        return None
    return status.st_dev, status.st_ino
