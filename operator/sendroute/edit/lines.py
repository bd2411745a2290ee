"""The lines of a text by position, and the splices that change a text."""

from collections.abc import Iterable
from typing import NamedTuple


class Splice(NamedTuple):
    """``text[start:end]`` becomes ``new``."""

    start: int
    end: int
    new: str


def apply_splices(text: str, splices: Iterable[Splice]) -> str | None:
    """Apply all splices at once, those at one position in the given order; None if two overlap."""
    parts = []
    reached = 0
    for splice in sorted(splices, key=lambda splice: (splice.start, splice.end)):
        if splice.start < reached:
            return None
        parts += [text[reached : splice.start], splice.new]
        reached = splice.end
    return "".join([*parts, text[reached:]])


def merged(splices: Iterable[Splice]) -> list[Splice]:
    """The splices in order, with deletions that overlap or touch as one."""
    result: list[Splice] = []
    for splice in sorted(splices, key=lambda splice: (splice.start, splice.end)):
        last = result[-1] if result else None
        if last and not (last.new or splice.new) and splice.start <= last.end:
            result[-1] = Splice(last.start, max(last.end, splice.end), "")
        else:
            result.append(splice)
    return result


def line_start(text: str, position: int) -> int:
    return text.rfind("\n", 0, position) + 1


def line_end(text: str, position: int) -> int:
    """Where the line break begins, or the text ends."""
    end = text.find("\n", position)
    if end < 0:
        return len(text)
    return end - 1 if end > position and text[end - 1] == "\r" else end


def next_line(text: str, position: int) -> int:
    """Where the next line begins; the end of the text after the last line."""
    end = text.find("\n", position)
    return len(text) if end < 0 else end + 1


def column(text: str, position: int) -> int:
    return position - line_start(text, position)


def newline(text: str, position: int) -> str:
    """The line break used around a position."""
    end = text.find("\n", position)
    if end < 0:
        end = text.rfind("\n")
    return "\r\n" if end > 0 and text[end - 1] == "\r" else "\n"


def is_first_on_line(text: str, position: int) -> bool:
    return not text[line_start(text, position) : position].strip()


def is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def with_lines(text: str, position: int, lines: Iterable[str]) -> Splice:
    """Insert lines before the line that begins at ``position``, or at the end of the text."""
    new = newline(text, max(position - 1, 0))
    inserted = new.join(lines)
    if position == len(text) and text and not text.endswith("\n"):
        return Splice(position, position, new + inserted)
    return Splice(position, position, inserted + new)


def block_end(text: str, end: int, indent: int) -> int:
    """The end of a block's lines, if its last value ends at ``end``. Following comments belong to
    it if they are indented deeper than ``indent``, the column of the block's key."""
    reached = position = next_line(text, end)
    while position < len(text):
        line = text[position : line_end(text, position)]
        if line.strip() and not (is_comment(line) and _indent(line) > indent):
            break
        position = next_line(text, position)
        if line.strip():
            reached = position
    return reached


def comment_after(text: str, position: int) -> str:
    """The comment at the end of a line behind the value that ends at ``position``, or empty."""
    comment = text[position : line_end(text, position)].lstrip(" \t,")
    return comment.rstrip() if comment.startswith("#") else ""


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
