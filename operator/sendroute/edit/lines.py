"""Lines of a text by the characters in it, and the splices that change some of them."""

from collections.abc import Iterable
from typing import NamedTuple


class Splice(NamedTuple):
    """``text[start:end]`` becomes ``new``."""

    start: int
    end: int
    new: str


def spliced(text: str, splices: Iterable[Splice]) -> str | None:
    """All of them at once, those at one place in the order given; None where two overlap."""
    parts = []
    reached = 0
    for splice in sorted(splices, key=lambda each: (each.start, each.end)):
        if splice.start < reached:
            return None
        parts += [text[reached : splice.start], splice.new]
        reached = splice.end
    return "".join([*parts, text[reached:]])


def line_start(text: str, place: int) -> int:
    return text.rfind("\n", 0, place) + 1


def line_end(text: str, place: int) -> int:
    """Where the line's break begins, or the text ends."""
    end = text.find("\n", place)
    if end < 0:
        return len(text)
    return end - 1 if end > place and text[end - 1] == "\r" else end


def next_line(text: str, place: int) -> int:
    """Where the line after that of ``place`` begins; the text's end where there is none."""
    end = text.find("\n", place)
    return len(text) if end < 0 else end + 1


def column(text: str, place: int) -> int:
    return place - line_start(text, place)


def newline(text: str, place: int) -> str:
    """The break that the lines about a place end with."""
    end = text.find("\n", place)
    if end < 0:
        end = text.rfind("\n")
    return "\r\n" if end > 0 and text[end - 1] == "\r" else "\n"


def is_first_on_line(text: str, place: int) -> bool:
    return not text[line_start(text, place) : place].strip()


def is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def with_lines(text: str, place: int, lines: Iterable[str]) -> Splice:
    """Puts lines before the line that begins at ``place``, or at the text's end."""
    new = newline(text, max(place - 1, 0))
    told = new.join(lines)
    if place == len(text) and text and not text.endswith("\n"):
        return Splice(place, place, new + told)
    return Splice(place, place, told + new)


def block_end(text: str, end: int, indent: int) -> int:
    """Where the lines of a block end whose last value ends at ``end``: comments after it that are
    indented deeper than ``indent``, the column of the block's own key, are part of it."""
    reached = place = next_line(text, end)
    while place < len(text):
        line = text[place : line_end(text, place)]
        if line.strip() and not (is_comment(line) and _indent(line) > indent):
            break
        place = next_line(text, place)
        if line.strip():
            reached = place
    return reached


def comment_after(text: str, place: int) -> str:
    """The comment at the end of a line whose last value ends at ``place``; empty without one."""
    rest = text[place : line_end(text, place)].lstrip(" \t,")
    return rest.rstrip() if rest.startswith("#") else ""


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
