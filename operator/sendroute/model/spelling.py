"""Names that were probably misspelt."""

import re
from collections.abc import Collection, Iterable

_LONGEST = 253  # a domain name's length; the comparison's time grows with the square of it
_CANDIDATES = 8
_COMPARED = 20_000  # pairs of names; they take a third of a second
_MOST_EDITS = 3
_WORDS = re.compile(r"[^-_./ ]+|[-_./ ]")


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """The hint of a name that is unknown.

    Args:
        name: the name as it was written.
        known: the names that are accepted in its place.

    Returns:
        The sentence that asks for the nearest of ``known``, or None if none of them is near.
    """
    near = nearest(name, known)
    return question(near) if near else None


def suggestions(names: Collection[str], known: Collection[str]) -> dict[str, str]:
    """The hints of several names that are unknown.

    Args:
        names: the names as they were written.
        known: the names that are accepted in their place.

    Returns:
        The hint of each name that has one. There are none for so many names that comparing all of
        them would take long.
    """
    if len(names) * len(known) > _COMPARED:
        return {}
    hints = ((name, did_you_mean(name, known)) for name in names)
    return {name: hint for name, hint in hints if hint is not None}


def question(near: str) -> str:
    """Return the sentence that asks whether a name was meant.

    Args:
        near: the name as it is shown.
    """
    return f"Did you mean {near}?"


def nearest(name: str, known: Iterable[str]) -> str | None:
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
    word = name[:_LONGEST].lower()
    # difflib finds candidates fast, but alike beginnings or endings are enough for it.
    near = get_close_matches(word, by_lower, n=_CANDIDATES)
    likely = [candidate for candidate in near if _is_likely(word, candidate)]
    return by_lower[likely[0]] if likely else None


def _is_likely(name: str, known: str) -> bool:
    """Whether a name may be a misspelling of another: about one edit in three characters, or a part
    of the word. Only the words that differ count: all options begin with ``--``, and many domains
    end alike."""
    left, right = _differing(_WORDS.findall(name), _WORDS.findall(known))
    shorter, longer = sorted((left, right), key=len)
    if longer.startswith(shorter) and len(longer) <= 2 * len(shorter):
        return True
    most = min(max(1, len(longer) // 3), _MOST_EDITS)
    return distance(left, right, most) <= min(most, len(longer) - 1)


def _differing(left: list[str], right: list[str]) -> tuple[str, str]:
    """Two names without the words at their beginning and end that are the same."""
    while left and right and left[0] == right[0]:
        left, right = left[1:], right[1:]
    while left and right and left[-1] == right[-1]:
        left, right = left[:-1], right[:-1]
    return "".join(left), "".join(right)


def distance(left: str, right: str, most: int) -> int:
    """Return the number of edits between two names: a character inserted, removed or replaced, or
    two neighbours exchanged.

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
