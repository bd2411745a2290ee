"""Group similar changes, so that shortening a long list hides no other kind of change."""

from collections.abc import Iterable

from sendroute.model.change import Change, DomainChange
from sendroute.model.route import Route

MAX_SIMILAR = 20
"""Similar changes of one account that are listed; the rest is counted."""

MAX_ACCOUNTS = 1000
"""Accounts that a text or a page lists; the rest is counted."""

SimilarityKey = tuple[str, str, str, Route | None, Route | None]


def _similarity_key(change: Change) -> SimilarityKey:
    """Similar changes do the same for the same reason: for domains, between the same routes."""
    before = after = None
    if isinstance(change, DomainChange):
        before = change.before.route if change.before is not None else None
        after = change.after.route if change.after is not None else None
    return change.kind, change.action, change.reason, before, after


def group_similar(changes: Iterable[Change]) -> list[list[Change]]:
    """The changes in groups of similar ones, in the order of each group's first change."""
    groups: dict[SimilarityKey, list[Change]] = {}
    for change in changes:
        groups.setdefault(_similarity_key(change), []).append(change)
    return list(groups.values())
