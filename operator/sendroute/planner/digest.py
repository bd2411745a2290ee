"""A plan's digest: the same exactly when the same is decided."""

import hashlib
from collections.abc import Iterable

import msgspec

from sendroute.model.change import AccountPlan, Change


def digest(plan: AccountPlan) -> str:
    """SHA-256, in hex, of an account's changes; places and wording do not count."""
    return digest_changes(plan.changes)


def digest_changes(changes: Iterable[Change]) -> str:
    total = hashlib.sha256()
    encoder = msgspec.json.Encoder()
    for change in changes:
        decided = (
            change.kind,
            change.account,
            change.name,
            change.action,
            change.before,
            change.after,
            change.reason,
            change.ran,
        )
        total.update(encoder.encode(decided))
        total.update(b"\n")
    return total.hexdigest()
