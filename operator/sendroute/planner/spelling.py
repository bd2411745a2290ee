"""Hints for names that were probably mistyped."""

from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """``otherwise`` is the hint where no known name is near."""
    from difflib import get_close_matches  # only where there is something to say

    near = get_close_matches(name, sorted(known), n=1)
    return f"Did you mean {near[0]}?" if near else otherwise
