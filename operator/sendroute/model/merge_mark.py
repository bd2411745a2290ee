"""The marks that a merge leaves in a file (git-merge(1), HOW CONFLICTS ARE PRESENTED)."""

import re

_MARK = re.compile(r"^(?:<<<<<<<|=======|>>>>>>>|\|\|\|\|\|\|\|)(?: |\r?$)", re.MULTILINE)
_SURE = re.compile(r"^(?:<<<<<<<|>>>>>>>)(?: |\r?$)", re.MULTILINE)


def merge_mark(text: str, *, malformed: bool = False) -> int | None:
    """Find the first mark in a text.

    Args:
        text: the content of a file, or a line of it.
        malformed: the text cannot be parsed, so that the mark between two sides is one too; a line
            of equals signs may also be a text.

    Returns:
        The offset of the first mark; None if there is none.
    """
    first = _MARK.search(text)
    return first.start() if first and (malformed or _SURE.search(text)) else None


def conflict_in(file: str) -> str:
    """Return the message about a file with marks; ``file`` is how the sentence names it."""
    return f"{file} has an unresolved merge conflict."
