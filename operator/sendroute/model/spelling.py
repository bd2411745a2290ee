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
