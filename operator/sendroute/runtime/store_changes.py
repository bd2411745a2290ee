"""What other processes committed or approved since the last round."""

import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Protocol

from sendroute.model.account_status import AccountStatus, Approval
from sendroute.model.desired import AccountKey
from sendroute.model.outcome import Outcome, Result
from sendroute.model.owner import PLATFORM, Owner
from sendroute.model.provenance import AccountRevision, Head
from sendroute.runtime.contests import Contests


class ChangingStore(Protocol):
    """The store as it is asked for the changes of other processes. Each method raises ProblemError
    while it is unavailable."""

    def contains(self, head: Head) -> bool:
        """Whether a commit is in the store's history."""
        ...

    def accounts(self) -> list[AccountKey]:
        """The accounts in the store, in order."""
        ...

    def changed_since(self, revision: int) -> dict[Owner, AccountRevision]:
        """The accounts that were changed after ``revision``, and the platform if it was, with the
        last revision that changed each. Removed accounts are left out."""
        ...

    def account_statuses(self) -> Mapping[Owner, AccountStatus]:
        """Why accounts were not applied completely."""
        ...


class StoreChanges:
    """``seen`` is the revision up to which all commits are known, None before the first round.
    ``statuses`` are the account statuses as they were read last, ``contests`` the accounts that are
    repaired repeatedly."""

    def __init__(self, contests: Contests) -> None:
        self.contests = contests
        self.seen: Head | None = None
        self.statuses: dict[Owner, AccountStatus] = {}
        self._approvals: frozenset[tuple[Owner, Approval]] = frozenset()
        self._own_revisions: dict[Owner, int] = {}

    def by_others(
        self, store: ChangingStore, head: Head, served: Collection[AccountKey]
    ) -> frozenset[Owner] | None:
        """Find the accounts that another process committed or approved, or that the store lost, and
        the platform if another process committed it, without what is contested and must wait.

        Args:
            store: read only if its head is not the one that was seen.
            head: the store's head now.
            served: the accounts of the tree that was reconciled last.

        Returns:
            The accounts; None for all of them, if the store is another one or was restored to an
            earlier revision.

        Raises:
            ProblemError: the store is unavailable.
        """
        if self.seen is None or self.seen == head:
            return self.contests.take_due(time.monotonic())
        if not store.contains(self.seen):
            return None
        changed = store.changed_since(self.seen.revision)
        self.contests.changed(
            {
                key: last
                for key, last in changed.items()
                if self._own_revisions.get(key) != last.revision
            }
        )
        self.statuses = dict(store.account_statuses())
        approvals = _approvals(self.statuses)
        approved = {owner for owner, _ in approvals - self._approvals}
        self._approvals |= approvals
        lost = set(served) - set(store.accounts()) - self.statuses.keys()
        self.contests.changed(dict.fromkeys(lost))
        return self.contests.take_due(time.monotonic()) | approved

    def advance(self, head: Head) -> None:
        """Mark every commit up to ``head`` as known. Does nothing before the first round."""
        if self.seen is not None:
            self.seen = head

    def record_round(
        self,
        head: Head,
        result: Result,
        edited: Collection[Owner],
        before: Mapping[Owner, AccountStatus],
        after: Mapping[Owner, AccountStatus],
        *,
        kept_platform: bool,
    ) -> None:
        """A round is complete: ``head`` is the store's before it, ``edited`` are the owners whose
        manifests had changed, ``before`` and ``after`` are the account statuses. The platform was
        not decided if ``kept_platform`` is true."""
        self.seen = head
        self.statuses = dict(after)
        self._approvals = _approvals(before)
        self._own_revisions = {
            outcome.key: outcome.revision
            for outcome in result.accounts
            if outcome.outcome is Outcome.COMMITTED
        }
        if result.platform_revision is not None:
            self._own_revisions[PLATFORM] = result.platform_revision
        outcomes: dict[Owner, Outcome] = {
            outcome.key: outcome.outcome for outcome in result.accounts
        }
        if not kept_platform:
            outcomes[PLATFORM] = result.platform or Outcome.UNCHANGED
        self.contests.reconciled(
            outcomes,
            edited,
            time.monotonic(),
            datetime.now(UTC),
        )


def _approvals(statuses: Mapping[Owner, AccountStatus]) -> frozenset[tuple[Owner, Approval]]:
    return frozenset(
        (owner, status.approval)
        for owner, status in statuses.items()
        if status.approval is not None
    )
