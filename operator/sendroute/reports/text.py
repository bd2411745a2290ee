"""Text for a terminal: widths, wrapping, colour, and what may never reach one.

Colour is six ANSI sequences (ECMA-48, SGR) rather than rich: importing rich.console costs more
than a whole ``validate`` may, and a plan of 100,000 lines needs no layout engine.
"""

import unicodedata
from collections.abc import Iterator
from enum import StrEnum

WIDTH = 100
"""Columns that every line of text keeps to."""


class Style(StrEnum):
    BOLD = "1"
    DIM = "2"
    RED = "31"
    GREEN = "32"
    YELLOW = "33"
    CYAN = "36"


def paint(text: str, style: Style, colour: bool) -> str:
    """``text`` in that style where colour is wanted; it adds no width."""
    return f"\x1b[{style}m{text}\x1b[0m" if colour and text else text


def clean(text: str) -> str:
    r"""``text`` without anything that a terminal or a log viewer acts on.

    Control characters, direction overrides and lone surrogates (a file name that is not UTF-8)
    become visible escapes like ``\x1b``; other kinds of space become a space. ``##[`` is broken
    up, for some build logs take it for a command wherever it stands.
    """
    if not text.isprintable():
        text = "".join(c if c.isprintable() else _visible(c) for c in text)
    return text.replace("##[", "## [")


def _visible(character: str) -> str:
    if unicodedata.category(character) == "Zs":
        return " "
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


def no_command(line: str) -> str:
    """The line, not beginning with ``::``, which GitHub's log reader takes for a command."""
    if "::" not in line:
        return line
    begin = len(line) - len(line.lstrip())
    return f"{line[:begin]}∷{line[begin + 2 :]}" if line.startswith("::", begin) else line


def width(text: str) -> int:
    """Columns that cleaned text takes: two for wide East Asian characters, none for marks that
    combine (Unicode Standard Annex 11)."""
    if text.isascii() or text.replace("→", " ").isascii():  # nearly every line of a plan
        return len(text)
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def pad(text: str, columns: int) -> str:
    return text + " " * (columns - width(text))


def middle(text: str, columns: int) -> str:
    """``text`` in at most that many columns, cut in its middle: a name's ends tell it apart."""
    if width(text) <= columns:
        return text
    tail = (columns - 1) // 2
    return _head(text, columns - 1 - tail) + "…" + _head(text[::-1], tail)[::-1]


def _head(text: str, columns: int) -> str:
    taken = 0
    for index, character in enumerate(text):
        taken += _columns(character)
        if taken > columns:
            return text[:index]
    return text


def wrap(text: str, indent: int, *, first: str = "", columns: int = WIDTH) -> Iterator[str]:
    """Lines of cleaned ``text``, each indented; ``first`` stands before the first one's words."""
    margin = " " * indent
    if indent + width(first) + width(text) <= columns:
        yield margin + first + text
        return
    line, used = margin + first, indent + width(first)
    begun = bool(first.strip())
    for word in _words(text, columns - indent - 2):
        needed = width(word)
        if begun and used + 1 + needed > columns:
            yield line
            line, used, begun = margin + word, indent + width(word), True
            continue
        gap = " " if begun and not line.endswith(" ") else ""
        line, used, begun = line + gap + word, used + len(gap) + needed, True
    yield line


def _words(text: str, columns: int) -> Iterator[str]:
    for word in text.split(" "):
        rest = word
        while width(rest) > columns:
            head = _head(rest, columns)
            yield head
            rest = rest[len(head) :]
        if rest:
            yield rest


def number(count: int) -> str:
    """``100,000``: the same in every locale."""
    return f"{count:,}"


def counted(count: int, singular: str, plural: str | None = None) -> str:
    """``1 error``, ``2 errors``."""
    return f"{number(count)} {singular if count == 1 else plural or singular + 's'}"
