"""The heart of it: a value as it is written, and the value it is to be → the few characters that
must change. What a splice cannot do is told by :class:`CannotSpliceError`, and never guessed."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from sendroute.edit.layout import Entry, Node
from sendroute.edit.lines import (
    Splice,
    block_end,
    column,
    is_first_on_line,
    line_end,
    line_start,
    newline,
    next_line,
    with_lines,
)
from sendroute.edit.style import Style, block, flow, scalar

Pairs = list[tuple[str, Any]]


class CannotSpliceError(Exception):
    """The layout does not let this change be made in place. ``path`` leads to it."""

    def __init__(self, *path: str) -> None:
        super().__init__(".".join(path))
        self.path = path


def rewrite(text: str, node: Node, new: Any, style: Style) -> Iterator[Splice]:
    """The splices that make ``node`` read as ``new``."""
    old = node.value()
    if same(old, new):
        return
    if not node.entries or not isinstance(new, dict) or not new:
        yield _whole(text, node, new, style)
        return
    if len(old) == len(new) == 1 and old.keys() != new.keys():
        ((key, value),) = new.items()
        yield from _swap(text, node.entries[0], key, value, style)
        return
    yield from _removed(text, node, new)
    for entry in node.entries:
        if entry.key.scalar in new:
            yield from _within(text, entry, new[entry.key.scalar], style)
    yield from _inserted(text, node, new, style)


def same(one: Any, other: Any) -> bool:
    """Equal, and of one type: true is not 1, and 587.0 is not 587."""
    if type(one) is not type(other):
        return False
    match one:
        case dict():
            return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
        case list():
            return len(one) == len(other) and all(map(same, one, other))
        case float():
            return one == other or (one != one and other != other)  # both not a number
        case _:
            return bool(one == other)


def _within(text: str, entry: Entry, new: Any, style: Style) -> Iterator[Splice]:
    try:
        yield from rewrite(text, entry.value, new, style)
    except CannotSpliceError as error:
        raise CannotSpliceError(str(entry.key.scalar), *error.path) from error


def _whole(text: str, node: Node, new: Any, style: Style) -> Splice:
    if node.is_block or node.quote in ("|", ">") or isinstance(new, list):
        raise CannotSpliceError
    if isinstance(new, dict) or node.entries is not None:
        told = flow(new, style._replace(spread=False))
    else:
        told = scalar(new, node.quote or style.quote)
    return _at(text, node, told)


def _at(text: str, node: Node, told: str) -> Splice:
    """``told`` in the place of a value; where nothing was written a space goes before it."""
    if node.start == node.end and text[node.start - 1 : node.start] in (":", "-"):
        told = " " + told
    return Splice(node.start, node.end, told)


def _swap(text: str, entry: Entry, key: str, value: Any, style: Style) -> Iterator[Splice]:
    """One entry for another, as ``profile: ses`` for ``managed: {}``, and the comment beside it
    stays. The lines of a block that goes, go with the comments in it."""
    if isinstance(value, dict) and value:
        raise CannotSpliceError(str(entry.key.scalar))
    yield Splice(entry.key.start, entry.key.end, style.key(key, entry.key.quote))
    told = flow(value, style)
    if not entry.value.is_block:
        yield _at(text, entry.value, told)
        return
    colon = text.index(":", entry.key.end) + 1
    yield Splice(colon, colon, " " + told)
    yield Splice(*block_of(text, entry), "")


def block_of(text: str, entry: Entry) -> tuple[int, int]:
    """The whole lines below a key that its block value takes, comments in it and at its end too."""
    start = next_line(text, entry.key.end)
    return start, max(start, block_end(text, entry.value.end, column(text, entry.key.start)))


# --- entries that go ----------------------------------------------------------------------------


def _removed(text: str, node: Node, new: dict[str, Any]) -> Iterator[Splice]:
    entries = node.entries or []
    parts = [entry.key.start for entry in entries], [entry.value.end for entry in entries]
    gone = [number for number, entry in enumerate(entries) if entry.key.scalar not in new]
    if len(gone) == len(entries):
        raise CannotSpliceError(str(entries[0].key.scalar))
    for first, last in _runs(gone):
        if node.flow:
            yield from _removed_from_flow(text, *parts, first, last)
        else:
            yield _removed_from_block(text, *parts, first, last)


def removed_item(text: str, entry: Entry, number: int) -> list[Splice]:
    """An item of a sequence goes; an empty one stays a sequence."""
    node = entry.value
    items = node.items or []
    if len(items) == 1:
        return _emptied(text, entry)
    ends = [item.end for item in items]
    if node.flow:
        starts = [item.start for item in items]
        return list(_removed_from_flow(text, starts, ends, number, number))
    starts = [text.rindex("-", 0, item.start + 1) for item in items]
    return [_removed_from_block(text, starts, ends, number, number)]


def _emptied(text: str, entry: Entry) -> list[Splice]:
    if entry.value.flow:
        return [Splice(entry.value.start, entry.value.end, "[]")]
    colon = text.index(":", entry.key.end) + 1
    return [Splice(colon, colon, " []"), Splice(*block_of(text, entry), "")]


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        yield members[0], members[-1]


def _removed_from_block(
    text: str, starts: list[int], ends: list[int], first: int, last: int
) -> Splice:
    start = starts[first]
    if is_first_on_line(text, start):
        end = block_end(text, ends[last], column(text, start))
        return Splice(line_start(text, start), end, "")
    if last + 1 == len(starts):  # behind a dash, and nothing comes after
        raise CannotSpliceError
    return Splice(start, starts[last + 1], "")


def _removed_from_flow(
    text: str, starts: list[int], ends: list[int], first: int, last: int
) -> Iterator[Splice]:
    start, end = starts[first], ends[last]
    follows = last + 1 < len(starts)
    comma = _comma(text, end)
    alone = is_first_on_line(text, start) and not _rest(text, end if comma is None else comma + 1)
    if alone:
        yield Splice(line_start(text, start), next_line(text, end), "")
    elif follows:
        yield Splice(start, starts[last + 1], "")
    if follows or first == 0:
        return
    before = ends[first - 1]
    if not alone:
        yield Splice(before, end, "")
    elif comma is None:  # the comma before would be the last thing in the braces
        found = _comma(text, before)
        assert found is not None  # noqa: S101
        yield Splice(found, found + 1, "")


def _comma(text: str, place: int) -> int | None:
    """The comma after a value within braces; None where its brace closes first."""
    while place < len(text):
        if text[place] == "#":
            place = line_end(text, place)
        elif text[place] == ",":
            return place
        elif not text[place].isspace():
            return None
        place += 1
    return None


def _rest(text: str, place: int) -> str:
    """What else but a comment is on the line."""
    return text[place : line_end(text, place)].partition("#")[0].strip()


# --- entries that come --------------------------------------------------------------------------


def _inserted(text: str, node: Node, new: dict[str, Any], style: Style) -> Iterator[Splice]:
    """New entries go after the one that they follow in ``new``."""
    numbers = {entry.key.scalar: number for number, entry in enumerate(node.entries or ())}
    after: int | None = None
    pending: dict[int, Pairs] = {}
    for key, value in new.items():
        if key in numbers:
            after = numbers[key]
        elif after is None:
            raise CannotSpliceError(key)
        else:
            pending.setdefault(after, []).append((key, value))
    for number, pairs in pending.items():
        if node.flow:
            yield from _into_flow(text, node, number, pairs, style)
        else:
            yield _into_block(text, node, number, pairs, style)


def _into_block(text: str, node: Node, number: int, pairs: Pairs, style: Style) -> Splice:
    assert node.entries is not None  # noqa: S101
    entry = node.entries[number]
    indent = column(text, entry.key.start)
    lines = [line for key, value in pairs for line in block(key, value, style, indent)]
    return with_lines(text, block_end(text, entry.value.end, indent), lines)


def _into_flow(text: str, node: Node, number: int, pairs: Pairs, style: Style) -> Iterator[Splice]:
    assert node.entries is not None  # noqa: S101
    entry = node.entries[number]
    quote = entry.key.quote
    indent = column(text, entry.key.start)
    told = [
        style.key(key, quote) + style.colon() + flow(value, style, indent) for key, value in pairs
    ]
    yield from placed_in_flow(text, entry.key.start, entry.value.end, told, style)


def placed_in_flow(
    text: str, start: int, end: int, told: list[str], style: Style
) -> Iterator[Splice]:
    """More after an entry or item ``text[start:end]``: on lines of their own if that is on one."""
    if not is_first_on_line(text, start):
        yield Splice(end, end, "".join(style.comma() + each for each in told))
        return
    inner = newline(text, end) + " " * column(text, start)
    comma = _comma(text, end)
    if comma is not None and not _rest(text, comma + 1):
        place = line_end(text, comma)
        yield Splice(place, place, "".join(inner + each + "," for each in told))
    elif comma is None and not _rest(text, end):
        yield Splice(end, end, ",")
        place = line_end(text, end)
        yield Splice(place, place, inner + ("," + inner).join(told))
    else:  # the line goes on with the next entry, or with the closing brace
        yield Splice(end, end, "".join("," + inner + each for each in told))
