"""A plan's digest: equal for two plans exactly if their decisions are equal."""

import hashlib
from collections.abc import Iterable
from typing import assert_never

import msgspec

from sendroute.model.change import (
    AccountChange,
    AccountPlan,
    Change,
    DomainChange,
    PlatformChange,
    ProfileChange,
)

# Cannot be part of a text: a quotation mark in a JSON string follows a backslash (RFC 8259, 7).
_UNSET_LATER = b',"overrides":null'


def digest(plan: AccountPlan) -> str:
    """SHA-256, in hex, of an account's changes. Positions and messages are not included."""
    return digest_changes(plan.changes)


def digest_changes(changes: Iterable[Change]) -> str:
    """SHA-256, in hex, of these changes in their order.

    Saved plans and approvals contain digests, so the hashed form must never change: one line of
    JSON for each change, with kind, account (two empty strings for the platform), name, action,
    state before, state after, reason, and the apply-all that it runs. A field that states got later
    is left out while it is not set.
    """
    total = hashlib.sha256()
    encoder = msgspec.json.Encoder()
    for change in changes:
        account: tuple[str, str] = ("", "")
        ran = None
        match change:
            case DomainChange() | ProfileChange():
                account = change.account
            case AccountChange():
                account, ran = change.account, change.ran
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
            change.reason,
            ran,
        )
        total.update(encoder.encode(decided).replace(_UNSET_LATER, b""))
        total.update(b"\n")
    return total.hexdigest()
