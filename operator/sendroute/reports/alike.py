"""Group similar changes, so that shortening a long list hides no other kind of change."""

from collections.abc import Iterable

from sendroute.model.change import Change, DomainChange
from sendroute.model.route import Route

FOLD = 20
"""Similar changes of one account that are listed; the rest is counted."""

ACCOUNTS = 1000
"""Accounts that a text or a page lists; the rest is counted."""

Likeness = tuple[str, str, str, Route | None, Route | None]


def _likeness(change: Change) -> Likeness:
    """Similar changes do the same for the same reason: for domains, between the same routes."""
    before = after = None
    if isinstance(change, DomainChange):
        before = change.before.route if change.before is not None else None
        after = change.after.route if change.after is not None else None
    return change.kind, change.action, change.reason, before, after


def alike(changes: Iterable[Change]) -> list[list[Change]]:
    """The changes in groups of similar ones, in the order of each group's first change."""
    groups: dict[Likeness, list[Change]] = {}
    for change in changes:
        groups.setdefault(_likeness(change), []).append(change)
    return list(groups.values())
