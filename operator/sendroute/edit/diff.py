"""The changes of an edit as a unified diff for ``git apply`` and ``patch``."""

import difflib
from collections.abc import Iterator, Mapping

from sendroute.edit.proposal import TextChange

_NO_NEWLINE = "\\ No newline at end of file\n"


def unified(texts: Mapping[str, TextChange]) -> Iterator[str]:
    """Yield a unified diff, file by file.

    Args:
        texts: the text of each file before and after, by the file's name; None for a file that does
            not exist.

    Yields:
        The lines of the diff, with their line breaks.
    """
    for file, text in texts.items():
        relative = file.lstrip("/")
        before = "/dev/null" if text.before is None else f"a/{relative}"
        after = "/dev/null" if text.after is None else f"b/{relative}"
        old, new = _lines(text.before), _lines(text.after)
        for line in difflib.unified_diff(old, new, before, after):
            yield line if line.endswith("\n") else f"{line}\n{_NO_NEWLINE}"


def _lines(text: str | None) -> list[str]:
    """Split only at line feeds, as git does."""
    if not text:
        return []
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1].removesuffix("\n")
    return lines if lines[-1] else lines[:-1]
