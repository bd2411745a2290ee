"""The store as reconciling sees it."""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from sendroute.model.account_status import AccountStatus
from sendroute.model.ancestry import AppliedCommit
from sendroute.model.change import AccountPlan, PlatformChange
from sendroute.model.credential import EncryptedCredentials
from sendroute.model.current import Current
from sendroute.model.desired import AccountKey
from sendroute.model.owner import Owner
from sendroute.model.provenance import Provenance
from sendroute.model.records import StoredProfile
from sendroute.planner.selection import Holdings


class RecordSnapshot(Holdings, Protocol):
    """The store at one revision, independent of later commits. The cost of a read depends only on
    the requested accounts or domains."""

    def read_accounts(self, keys: Collection[AccountKey]) -> Current:
        """Return some accounts, with the lineage, the revision and the platform.

        Args:
            keys: the accounts to read.
        """
        ...

    def encrypted(self, keys: Collection[AccountKey]) -> EncryptedCredentials:
        """Return the encrypted credentials of some accounts, and of the platform's relays.

        Args:
            keys: the accounts.

        Returns:
            The tokens, by owner and profile.
        """
        ...


class Record(Protocol):
    """The store. Each method is one transaction, and raises a
    :class:`~sendroute.model.problem.ProblemError` instead of a database's own error."""

    @property
    def location(self) -> str:
        """The store's path, or its URL without a password."""
        ...

    def read_with_credentials(self) -> tuple[Current, EncryptedCredentials]:
        """Return the whole state at one revision, and the encrypted credentials in use."""
        ...

    def snapshot(self) -> AbstractContextManager[RecordSnapshot]:
        """Return a context with one revision of the store, from which some accounts can be read."""
        ...

    def profiles(self) -> list[StoredProfile]:
        """Return every profile that is in use."""
        ...

    def contains(self, head: Any) -> bool:
        """Return whether a commit is in the store's history, or the store was restored to it. A
        store made from an older backup does not contain the lost commits.

        Args:
            head: the revision and the id of the commit.
        """
        ...

    def is_changed_since(self, head: Any) -> bool:
        """Return whether anything that a lock file of a commit holds was changed after it. A store
        that was restored to the commit, or created from it, is at the commit.

        Args:
            head: the revision and the id of the commit.
        """
        ...

    def applied_commits(self) -> list[AppliedCommit]:
        """The commits that manifests were applied from last: one for each repository, or several
        if trees were applied of which none contains the other."""
        ...

    def record_commits(
        self,
        trees: Collection[AppliedCommit],
        replaced: Collection[AppliedCommit],
        seen: Collection[AppliedCommit],
    ) -> None:
        """Remember that manifests are applied from these commits.

        Args:
            trees: the commits, one of each repository of the manifests.
            replaced: the commits that they replace.
            seen: the commits that they were compared with.

        Raises:
            StaleError: another one was recorded meanwhile.
        """
        ...

    def commit(
        self,
        plans: Sequence[AccountPlan],
        platform: PlatformChange | None,
        provenance: Provenance,
        encrypted: EncryptedCredentials = ...,
        latest: Collection[str] = ...,
    ) -> int:
        """Write the changes of some accounts, and of the platform, as one revision: all or nothing.

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
        ...

    def commit_groups(
        self,
        groups: Sequence[Sequence[AccountPlan]],
        provenance: Provenance,
        encrypted: EncryptedCredentials = ...,
        latest: Collection[str] = ...,
    ) -> list[int]:
        """Write several groups of accounts in one transaction, each as a separate revision.

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
        ...

    def account_statuses(self) -> dict[Owner, AccountStatus]:
        """Return the account statuses, by owner."""
        ...

    def write_account_statuses(
        self, written: Sequence[AccountStatus], cleared: Collection[Owner]
    ) -> None:
        """Replace some statuses and remove others.

        Args:
            written: the statuses to insert or replace.
            cleared: the accounts, or the platform, whose statuses are removed.
        """
        ...
