"""Derive the few characters that must change from the written and the desired value. If no splice
is possible, :class:`SpliceError` is raised; nothing is guessed."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from sendroute.edit.layout import LayoutEntry, LayoutNode
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
from sendroute.edit.style import YamlStyle, block, flow, scalar

Pairs = list[tuple[str, Any]]


class SpliceError(Exception):
    """The layout does not allow this change in place. ``path`` is its path in the document."""

    def __init__(self, *path: str) -> None:
        super().__init__(".".join(path))
        self.path = path


def rewrite(text: str, node: LayoutNode, new: Any, style: YamlStyle) -> Iterator[Splice]:
    """Yield the splices after which ``node`` has the value ``new``.

    Raises:
        SpliceError: the layout does not allow it.
    """
    old = node.value()
    if same(old, new):
        return
    if not node.entries or not isinstance(new, dict) or not new:
        yield _replaced_value(text, node, new, style)
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


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal and of the same type: true is not 1, and 587.0 is not 587."""
    if type(left) is not type(right):
        return False
    match left:
        case dict():
            return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
        case list():
            return len(left) == len(right) and all(map(same, left, right))
        case float():
            return left == right or (left != left and right != right)  # both NaN
        case _:
            return bool(left == right)


def _within(text: str, entry: LayoutEntry, new: Any, style: YamlStyle) -> Iterator[Splice]:
    try:
        yield from rewrite(text, entry.value, new, style)
    except SpliceError as error:
        raise SpliceError(str(entry.key.scalar), *error.path) from error


def _replaced_value(text: str, node: LayoutNode, new: Any, style: YamlStyle) -> Splice:
    if node.is_block or node.quote in ("|", ">") or isinstance(new, list):
        raise SpliceError
    if isinstance(new, dict) or node.entries is not None:
        written = flow(new, style._replace(spread=False))
    else:
        written = scalar(new, node.quote or style.quote)
    return _at(text, node, written)


def _at(text: str, node: LayoutNode, written: str) -> Splice:
    """Replace a value; an empty value gets a space first."""
    if node.start == node.end and text[node.start - 1 : node.start] in (":", "-"):
        written = " " + written
    return Splice(node.start, node.end, written)


def _swap(
    text: str, entry: LayoutEntry, key: str, value: Any, style: YamlStyle
) -> Iterator[Splice]:
    """Replace an entry by another one, such as ``managed: {}`` by ``profile: ses``; the comment
    next to it stays. A removed block's comments are removed with it."""
    if isinstance(value, dict) and value:
        raise SpliceError(str(entry.key.scalar))
    yield Splice(entry.key.start, entry.key.end, style.key(key, entry.key.quote))
    written = flow(value, style)
    if not entry.value.is_block:
        yield _at(text, entry.value, written)
        return
    colon = text.index(":", entry.key.end) + 1
    yield Splice(colon, colon, " " + written)
    yield Splice(*block_of(text, entry), "")


def block_of(text: str, entry: LayoutEntry) -> tuple[int, int]:
    """The whole lines of a key's block value, including its comments."""
    start = next_line(text, entry.key.end)
    return start, max(start, block_end(text, entry.value.end, column(text, entry.key.start)))


# --- removed entries ----------------------------------------------------------------------------


def _removed(text: str, node: LayoutNode, new: dict[str, Any]) -> Iterator[Splice]:
    entries = node.entries or []
    parts = [entry.key.start for entry in entries], [entry.value.end for entry in entries]
    removed = [number for number, entry in enumerate(entries) if entry.key.scalar not in new]
    if len(removed) == len(entries):
        raise SpliceError(str(entries[0].key.scalar))
    for first, last in _runs(removed):
        if node.flow:
            yield from _removed_from_flow(text, *parts, first, last)
        else:
            yield _removed_from_block(text, *parts, first, last)


def removed_items(text: str, entry: LayoutEntry, numbers: list[int]) -> list[Splice]:
    """Remove items of a sequence, by their sorted numbers; an empty sequence becomes ``[]``."""
    node = entry.value
    items = node.items or []
    if len(items) == len(numbers):
        return _emptied(text, entry)
    ends = [item.end for item in items]
    splices: list[Splice] = []
    for first, last in _runs(numbers):
        if node.flow:
            starts = [item.start for item in items]
            splices += _removed_from_flow(text, starts, ends, first, last)
        else:
            starts = [text.rindex("-", 0, item.start + 1) for item in items]
            splices.append(_removed_from_block(text, starts, ends, first, last))
    return splices


def _emptied(text: str, entry: LayoutEntry) -> list[Splice]:
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
    if last + 1 == len(starts):  # behind a dash, and nothing follows
        raise SpliceError
    return Splice(start, starts[last + 1], "")


def _removed_from_flow(
    text: str, starts: list[int], ends: list[int], first: int, last: int
) -> Iterator[Splice]:
    start, end = starts[first], ends[last]
    follows = last + 1 < len(starts)
    comma = _comma(text, end)
    alone = is_first_on_line(text, start) and not _text_after(
        text, end if comma is None else comma + 1
    )
    if alone:
        yield Splice(line_start(text, start), next_line(text, end), "")
    elif follows:
        yield Splice(start, starts[last + 1], "")
    if follows or first == 0:
        return
    before = ends[first - 1]
    if not alone:
        yield Splice(before, end, "")
    elif comma is None and (previous := _comma(text, before)) is not None:
        yield Splice(previous, previous + 1, "")  # else a comma would end the collection


def _comma(text: str, offset: int) -> int | None:
    """The comma after a value within braces; None if the brace closes first."""
    while offset < len(text):
        if text[offset] == "#":
            offset = line_end(text, offset)
        elif text[offset] == ",":
            return offset
        elif not text[offset].isspace():
            return None
        offset += 1
    return None


def _text_after(text: str, offset: int) -> str:
    """The rest of the line without its comment."""
    return text[offset : line_end(text, offset)].partition("#")[0].strip()


# --- added entries --------------------------------------------------------------------------


def _inserted(
    text: str, node: LayoutNode, new: dict[str, Any], style: YamlStyle
) -> Iterator[Splice]:
    """New entries go after the one that they follow in ``new``."""
    entries = node.entries or []
    numbers = {entry.key.scalar: number for number, entry in enumerate(entries)}
    after: int | None = None
    pending: dict[int, Pairs] = {}
    for key, value in new.items():
        if key in numbers:
            after = numbers[key]
        elif after is None:
            raise SpliceError(key)
        else:
            pending.setdefault(after, []).append((key, value))
    for number, pairs in pending.items():
        if node.flow:
            yield from _into_flow(text, entries[number], pairs, style)
        else:
            yield _into_block(text, entries[number], pairs, style)


def _into_block(text: str, entry: LayoutEntry, pairs: Pairs, style: YamlStyle) -> Splice:
    indent = column(text, entry.key.start)
    lines = [line for key, value in pairs for line in block(key, value, style, indent)]
    return with_lines(text, block_end(text, entry.value.end, indent), lines)


def _into_flow(text: str, entry: LayoutEntry, pairs: Pairs, style: YamlStyle) -> Iterator[Splice]:
    quote = entry.key.quote
    indent = column(text, entry.key.start)
    written = [
        style.key(key, quote) + style.colon() + flow(value, style, indent) for key, value in pairs
    ]
    yield from insert_in_flow(text, entry.key.start, entry.value.end, written, style)


def insert_in_flow(
    text: str, start: int, end: int, written: list[str], style: YamlStyle
) -> Iterator[Splice]:
    """Insert after the entry or item ``text[start:end]``: on separate lines if that is on one."""
    if not is_first_on_line(text, start):
        yield Splice(end, end, "".join(style.comma() + item for item in written))
        return
    inner = newline(text, end) + " " * column(text, start)
    comma = _comma(text, end)
    if comma is not None and not _text_after(text, comma + 1):
        offset = line_end(text, comma)
        yield Splice(offset, offset, "".join(inner + item + "," for item in written))
    elif comma is None and not _text_after(text, end):
        yield Splice(end, end, ",")
        offset = line_end(text, end)
        yield Splice(offset, offset, inner + ("," + inner).join(written))
    else:  # the line continues with the next entry or the closing brace
        yield Splice(end, end, "".join("," + inner + item for item in written))
