"""Text for a terminal: widths, wrapping, colour, and characters that must never reach one.

Colours are six ANSI sequences (ECMA-48, SGR). rich is not used: importing rich.console takes longer
than a complete validation may take, and a plan of 100,000 lines needs no layout engine.
"""

import re
import unicodedata
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from sendroute.model.unseen import UNSEEN, is_seen

_DIGEST = re.compile(r"[0-9a-f]{64}")
"""The digest of a plan is never broken into two lines, however narrow the terminal: it is copied.
"""
_COMMAND = re.compile(r"##(?=\w*\[)")
"""A command of a build log: ``##[`` of GitHub Actions and of Azure Pipelines, ``##vso[`` of the
latter, ``##teamcity[`` of TeamCity."""
_SPACE = re.compile(r"([\t\xa0\u1680\u2000-\u200a\u202f\u205f\u3000])")
"""A tab, and every kind of space (Zs) but the usual one."""
WIDTH = 100
"""Columns of a terminal that does not say how wide it is."""
NARROW = 40
"""With fewer columns nothing is aligned: names, values and sentences are beneath each other."""
_INDENT = 2
"""The indent at such a terminal."""


class Console(NamedTuple):
    """Where text is written: whether it may have colour, and its width in columns. The width is
    None where programs read (a pipe, a file): a line is then as long as its content."""

    colour: bool = False
    columns: int | None = None

    def fits(self, columns: int) -> bool:
        """Whether a line of so many columns needs no wrapping."""
        return self.columns is None or columns <= self.columns


PLAIN = Console()
"""A pipe or a file."""


class TextStyle(StrEnum):
    BOLD = "1"
    DIM = "2"
    RED = "31"
    GREEN = "32"
    YELLOW = "33"
    CYAN = "36"


def paint(text: str, style: TextStyle, colour: bool) -> str:
    """``text`` in a style, if ``colour`` is true. The style adds no width."""
    return f"\x1b[{style}m{text}\x1b[0m" if colour and text else text


def clean(text: str) -> str:
    r"""Return ``text`` without anything that a terminal or a log viewer interprets.

    Control characters, direction overrides, characters that nobody sees and lone surrogates (a file
    name that is not UTF-8) become visible escapes like ``\x1b``; other kinds of space become a
    space. ``##[`` and ``##vso[`` are split, because some build logs interpret them as a command
    anywhere in a line.
    """
    if not is_seen(text):
        text = UNSEEN.sub(lambda match: _escape(match[0]), text)
        text = "".join(c if c.isprintable() else _visible(c) for c in text)
    return _COMMAND.sub("## ", text) if "##" in text else text


def _visible(character: str) -> str:
    if unicodedata.category(character) == "Zs":
        return " "
    return _escape(character)


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


def clean_diff(line: str) -> str:
    """Return a line of a diff, with its line break, without anything that a terminal or a log
    viewer interprets.

    Tabs, every kind of space and a carriage return before the line break are harmless and remain,
    so that a diff with nothing worse can still be applied. GitHub's runner takes a context line
    like `` ::error::`` for a command, because it ignores spaces before one.
    """
    end = next((end for end in ("\r\n", "\n") if line.endswith(end)), "")
    parts = _SPACE.split(line.removesuffix(end))  # every second one is a space
    parts[::2] = map(clean, parts[::2])
    return no_command("".join(parts)) + end


def no_command(line: str) -> str:
    """Return the line, changed if it begins with ``::``, which GitHub's logs interpret as a
    command."""
    if "::" not in line:
        return line
    begin = len(line) - len(line.lstrip())
    return f"{line[:begin]}∷{line[begin + 2 :]}" if line.startswith("::", begin) else line


def no_commands(text: str) -> str:
    """Return a text of several lines, each as :func:`no_command` does."""
    return "\n".join(map(no_command, text.split("\n"))) if "::" in text else text


def width(text: str) -> int:
    """Return the columns of cleaned text: two for a wide East Asian character, none for a combining
    mark (Unicode Standard Annex 11)."""
    if text.isascii() or text.replace("→", " ").isascii():  # nearly every line of a plan
        return len(text)
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def pad(text: str, columns: int) -> str:
    return text + " " * (columns - width(text))


def _head(text: str, columns: int) -> str:
    taken = 0
    for index, character in enumerate(text):
        taken += _columns(character)
        if taken > columns:
            return text[:index]
    return text


def wrap(text: str, indent: int, *, first: str = "", columns: int | None = WIDTH) -> Iterator[str]:
    """Break a text between words.

    Args:
        text: the text, cleaned.
        indent: the number of spaces before each line; fewer at a terminal of less than ``NARROW``
            columns.
        first: a text before the words of the first line; the other lines hang beneath the words,
            unless the terminal is so narrow.
        columns: the maximum width of a line, in columns; None for one line.

    Yields:
        The lines, without line breaks.
    """
    if columns is not None and columns < NARROW:
        indent, text, first = min(indent, _INDENT), f"{first}{text}", ""
    margin = " " * indent
    if columns is None or indent + width(first) + width(text) <= columns:
        yield margin + first + text
        return
    line, used = margin + first, indent + width(first)
    margin += " " * width(first)
    begun = bool(first.strip())
    for word in _words(text, columns - len(margin)):
        needed = width(word)
        if begun and used + 1 + needed > columns:
            yield line
            line, used, begun = margin + word, len(margin) + width(word), True
            continue
        gap = " " if begun and not line.endswith(" ") else ""
        line, used, begun = line + gap + word, used + len(gap) + needed, True
    yield line


def paragraph(text: str, console: Console) -> Iterator[str]:
    """Yield the lines of a text, with their line breaks: at a terminal broken between words. The
    text is cleaned here.

    Args:
        text: the text.
        console: where it is written.
    """
    for line in wrap(clean(text), 0, columns=console.columns):
        yield line + "\n"


def fold(text: str, columns: int) -> list[str]:
    """Break a cleaned text into lines of at most ``columns`` columns: between words, and within a
    word that is longer. One wide character always fits."""
    columns = max(columns, 2)
    lines, remainder = [], text
    while len(head := _head(remainder, columns)) < len(remainder):
        space = head.rfind(" ") if remainder[len(head)] != " " else 0
        head = head[:space] if space > 0 else head
        lines.append(head)
        remainder = remainder[len(head) :].lstrip(" ")
    return [*lines, remainder]


def _words(text: str, columns: int) -> Iterator[str]:
    columns = max(columns, 2)  # one wide character
    for word in text.split(" "):
        if _DIGEST.fullmatch(word):
            yield word
            continue
        remainder = word
        while len(head := _head(remainder, columns)) < len(remainder):
            yield head
            remainder = remainder[len(head) :]
        if remainder:
            yield remainder
