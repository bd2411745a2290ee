"""Approving what a guard has held back: one decision for every front end."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from sendroute.model.account_status import AccountStatus, StatusReason
from sendroute.model.desired import AccountKey
from sendroute.model.owner import Owner
from sendroute.model.provenance import Provenance
from sendroute.model.remedy import AllowOlderTree, ConfirmRemoval, RaiseLimit

_SHORTEST = 8
# What lets a plan through a guard in a command; a loop has none of it.
_OF_COMMANDS = (RaiseLimit, ConfirmRemoval, AllowOlderTree)


class ApprovalStore(Protocol):
    """The part of a store that records approvals."""

    def approve(self, shown: AccountStatus, provenance: Provenance) -> bool:
        """Approve a held-back plan.

        Args:
            shown: the status that the user approves; its digest identifies the plan.
            provenance: who approves it, and when.

        Returns:
            False, and nothing is written, if that plan is no longer held back.
        """
        ...


def held_back_accounts(statuses: Mapping[Owner, AccountStatus]) -> dict[AccountKey, AccountStatus]:
    """The accounts with a change that waits for an approval.

    Args:
        statuses: the account statuses.

    Returns:
        The statuses of these accounts.
    """
    return {
        owner: status
        for owner, status in statuses.items()
        if isinstance(owner, AccountKey) and status.reason is StatusReason.HELD_BACK
    }


def is_refused(status: AccountStatus) -> bool:
    """Whether a command refused the plan. Its user raises a limit or confirms instead, and an
    approval lets it through only if a loop plans the same.

    Args:
        status: the status of the account.

    Returns:
        False if a loop holds the plan back.
    """
    return any(isinstance(item.remedy, _OF_COMMANDS) for item in status.report.findings)


def is_digest_of(status: AccountStatus, digest: str) -> bool:
    """Whether it is the held-back plan's digest or, as in git, the beginning of it.

    Args:
        status: the status of the account.
        digest: the digest of the plan that was reviewed.

    Returns:
        False for a beginning of fewer than eight characters.
    """
    return (
        status.digest is not None and len(digest) >= _SHORTEST and status.digest.startswith(digest)
    )


def approve_held_back(
    store: ApprovalStore, status: AccountStatus, actor: str, at: datetime
) -> bool:
    """Approve the plan that a status shows, and no other.

    Args:
        store: the store.
        status: the status, as it was reviewed.
        actor: who approves.
        at: the time, aware, in UTC.

    Returns:
        Whether it is approved; False if that plan is no longer held back.
    """
    return store.approve(status, Provenance(at, actor, status.commit))
