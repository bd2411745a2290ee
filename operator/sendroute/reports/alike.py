"""Like changes stand together, so that a long list of them can be folded without hiding another."""

from collections.abc import Iterable

from sendroute.model.change import Change
from sendroute.model.current import DomainState
from sendroute.model.route import Route

FOLD = 20
"""Like changes of one account that are listed before the rest is only counted."""

ACCOUNTS = 1000
"""Accounts that a text or a page lists before the rest is only counted."""

Likeness = tuple[str, str, str, Route | None, Route | None]


def _likeness(change: Change) -> Likeness:
    """Like changes do the same for the same reason: for domains, from and to the same route."""
    before, after = change.before, change.after
    return (
        change.kind,
        change.action,
        change.reason,
        before.route if isinstance(before, DomainState) else None,
        after.route if isinstance(after, DomainState) else None,
    )


def alike(changes: Iterable[Change]) -> list[list[Change]]:
    """The changes in groups of like ones, in the order of each group's first."""
    groups: dict[Likeness, list[Change]] = {}
    for change in changes:
        groups.setdefault(_likeness(change), []).append(change)
    return list(groups.values())
