"""The store as reconciling sees it."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from sendroute.model.account_status import AccountStatus
from sendroute.model.change import AccountPlan, PlatformChange
from sendroute.model.current import Current
from sendroute.model.desired import AccountKey
from sendroute.model.owner import Owner
from sendroute.model.provenance import Provenance
from sendroute.model.records import StoredProfile
from sendroute.planner.selection import Holdings

Sealed = Mapping[Owner, Mapping[str, str]]
"""Sealed credentials by account and profile; the managed relay's under the platform's key."""


class Snapshot(Holdings, Protocol):
    """The store at one revision, whatever is committed in the meantime. Each read costs what the
    requested accounts or domains cost."""

    def read_accounts(self, keys: Collection[AccountKey]) -> Current:
        """Some accounts, with the lineage, the revision and the platform."""
        ...

    def sealed(self, keys: Collection[AccountKey]) -> Sealed:
        """The sealed credentials of these accounts, and of the managed relay."""
        ...


class Record(Protocol):
    """What is assigned. Each method is one transaction, and raises a
    :class:`~sendroute.model.problem.ProblemError` in place of a database's own error."""

    def read_sealed(self) -> tuple[Current, Sealed]:
        """All of it at one revision, and the sealed credentials of what is in use."""
        ...

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """One revision, to read some accounts of."""
        ...

    def profiles(self) -> list[StoredProfile]:
        """Every profile that is in use."""
        ...

    def contains(self, head: Any) -> bool:
        """Whether a commit is in the store's history, or the store was restored to it. A store made
        from an older backup does not contain what was lost."""
        ...

    def commit(
        self,
        plans: Sequence[AccountPlan],
        platform: PlatformChange | None,
        provenance: Provenance,
        sealed: Sealed = ...,
    ) -> int:
        """All of these accounts' changes or none, and the platform's with them; the store's
        revision afterwards. ``sealed`` are the credentials of what is new or changed.

        Raises :class:`~sendroute.model.problem.StaleError` where an account or the platform is
        not any more what it was planned on.
        """
        ...

    def commit_groups(
        self,
        groups: Sequence[Sequence[AccountPlan]],
        provenance: Provenance,
        sealed: Sealed = ...,
    ) -> list[int]:
        """Several groups of accounts in one transaction, each as a revision of its own, which are
        returned. Raises as :meth:`commit` does, and then no group is written."""
        ...

    def account_statuses(self) -> dict[Owner, AccountStatus]:
        """What the last reconcile left open, by account."""
        ...

    def write_account_statuses(
        self, written: Sequence[AccountStatus], cleared: Collection[Owner]
    ) -> None:
        """Replace the statuses of some accounts, and remove those of others."""
        ...
