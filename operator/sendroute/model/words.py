"""The words for counts, kinds and actions that messages, reports and the log have in common."""

from collections.abc import Mapping, Sequence

from sendroute.model.account_status import StatusReason
from sendroute.model.change import Action, Kind

NOUNS = {
    Kind.PLATFORM: "platform",
    Kind.ACCOUNT: "account",
    Kind.PROFILE: "profile",
    Kind.DOMAIN: "domain",
}
DONE = {
    Action.CREATE: "created",
    Action.UPDATE: "updated",
    Action.DELETE: "deleted",
    Action.REROUTE: "rerouted",
    Action.REASSIGN: "reassigned",
    Action.SKIP: "skipped",
}
PREDICATES = {
    StatusReason.HELD_BACK: "is held back",
    StatusReason.FAILED: "failed",
    StatusReason.REFUSED: "waits for an edit or a confirmation",
    StatusReason.SKIPPED: "is applied in part",
    StatusReason.CONTESTED: "is contested by another writer",
}
"""What became of an account, or of its change, that is not applied completely."""


def number(count: int) -> str:
    """Return a number for people: ``100,000``, the same in every locale.

    Args:
        count: the number.
    """
    return f"{count:,}"


def counted(count: int, singular: str, plural: str | None = None) -> str:
    """Write a count with its noun.

    Args:
        count: the number.
        singular: the noun for one.
        plural: the noun for several; None if it only gets an s.

    Returns:
        ``1 error``, ``2 errors``.
    """
    return f"{number(count)} {singular if count == 1 else plural or singular + 's'}"


def unlisted(count: int) -> str:
    """Say how many positions a finding leaves out.

    Args:
        count: the number of positions that are left out; not positive for none.

    Returns:
        A sentence behind another one, with the space between; empty for none.
    """
    if count <= 0:
        return ""
    return f" {counted(count, 'further position')} {'is' if count == 1 else 'are'} left out."


def actions_planned(counts: Mapping[Action, int] | Mapping[str, int]) -> str:
    """Count the changes of a plan.

    Args:
        counts: the number of changes of each action.

    Returns:
        ``2 to create, 1 to reroute``; empty for none.
    """
    return _joined(counts, {a: "skipped" if a is Action.SKIP else f"to {a}" for a in Action})


def actions_done(counts: Mapping[Action, int] | Mapping[str, int]) -> str:
    """Count the changes that were made.

    Args:
        counts: the number of changes of each action.

    Returns:
        ``2 created, 1 rerouted``; empty for none.
    """
    return _joined(counts, DONE)


def _joined(counts: Mapping[Action, int] | Mapping[str, int], words: Mapping[Action, str]) -> str:
    by_name: Mapping[str, int] = {str(action): count for action, count in counts.items()}
    return ", ".join(
        f"{number(by_name[action])} {word}" for action, word in words.items() if by_name.get(action)
    )


def short_commit(commit: str) -> str:
    """Shorten a commit for a text.

    Args:
        commit: the commit of a tree, ``-dirty`` at its end if the tree differed from it.

    Returns:
        Its first 12 digits, as git shows it, with ``-dirty`` if it had it.
    """
    digits, dirty, _ = commit.partition("-dirty")
    return digits[:12] + dirty


def first_of(names: Sequence[str], most: int, conjunction: str = "and") -> str:
    """List names without a long line.

    Args:
        names: the names.
        most: how many of them are listed.
        conjunction: what joins the others, which are counted.

    Returns:
        ``a, b and 3 more``.
    """
    more = len(names) - most
    return ", ".join(names[:most]) + (f" {conjunction} {more} more" if more > 0 else "")
