"""A plan's digest: equal for two plans exactly if their decisions are equal."""

import hashlib
from collections.abc import Iterable
from typing import assert_never

import msgspec

from sendroute.model.change import (
    AccountChange,
    AccountPlan,
    Action,
    Change,
    ChangeReason,
    DomainChange,
    PlatformChange,
    ProfileChange,
)

# Cannot be part of a text: a quotation mark in a JSON string follows a backslash (RFC 8259, 7).
_UNSET_LATER = b',"overrides":null'


def digest(plan: AccountPlan) -> str:
    """Compute the digest of an account's plan. Positions and messages are no part of it.

    Args:
        plan: the plan of the account.

    Returns:
        The SHA-256 of its changes, in hex.
    """
    return digest_changes(plan.changes)


def digest_changes(changes: Iterable[Change]) -> str:
    """Compute the digest of some changes.

    Saved plans and approvals contain digests, so the hashed form must never change: one line of
    JSON for each change, with kind, account (two empty strings for the platform), name, action,
    state before, state after, reason, and the apply-all that it runs. A field that states got later
    is left out while it is not set.

    For the account that loses a domain, a move counts as a removal: another tenant's claim, which
    may come and go, must not make an approval of that account's plan void.

    Args:
        changes: the changes. Their order is a part of the digest.

    Returns:
        The SHA-256 of the changes, in hex.
    """
    total = hashlib.sha256()
    encoder = msgspec.json.Encoder()
    for change in changes:
        account: tuple[str, str] = ("", "")
        reason, ran = change.reason, None
        match change:
            case DomainChange():
                account = change.account
                reason = ChangeReason.REMOVED if change.action is Action.DELETE else reason
            case ProfileChange():
                account = change.account
            case AccountChange():
                account, ran = change.account, change.completed
            case PlatformChange():
                pass
            case _:
                assert_never(change)
        decided = (
            change.kind,
            account,
            change.name,
            change.action,
            change.before,
            change.after,
            reason,
            ran,
        )
        total.update(encoder.encode(decided).replace(_UNSET_LATER, b""))
        total.update(b"\n")
    return total.hexdigest()
