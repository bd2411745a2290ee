"""How long to wait before an attempt is repeated."""

from collections.abc import Callable

Random = Callable[[], float]
"""A random number from 0 to 1."""

FIRST = 1.0
"""Seconds before the first retry, at most."""


def backoff(attempts: int, cap: float, random: float, first: float = FIRST) -> float:
    """Exponential backoff with full jitter, so that accounts that failed together are not retried
    together (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).

    Args:
        attempts: failures in a row, at least 1.
        cap: seconds to wait at most.
        random: a random number from 0 to 1.
        first: seconds before the first retry, at most.

    Returns:
        Seconds to wait.
    """
    return random * min(cap, first * 2.0 ** min(attempts - 1, 60))
