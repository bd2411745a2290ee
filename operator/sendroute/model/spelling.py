"""Names that were probably misspelled."""

from collections.abc import Iterable

_LONGEST = 253  # a domain name's length; the comparison's time grows with the square of it


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """The known name that is nearest to a name that is unknown.

    Upper and lower case compare equal, and the order of ``known`` never decides.

    Args:
        name: the name as it was written.
        known: the names that are accepted in its place.

    Returns:
        One of ``known`` in its own case, or None if none of them is near.
    """
    from difflib import get_close_matches  # only needed for an error

    by_lower = {candidate.lower(): candidate for candidate in sorted(known)}
    near = get_close_matches(name[:_LONGEST].lower(), by_lower, n=1)
    return by_lower[near[0]] if near else None


def distance(left: str, right: str, most: int) -> int:
    """The number of edits between two names: a character inserted, removed or replaced, or two
    neighbours exchanged.

    Args:
        left: a name.
        right: another name.
        most: the number that matters; a larger distance may be returned as ``most + 1``.
    """
    if abs(len(left) - len(right)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, start=1):
        before, last, row = row, before, [i]
        for j, b in enumerate(right, start=1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and b == left[i - 2]:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]
