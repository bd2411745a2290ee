"""Tables of text with aligned columns. Nothing is cut: in a pipe or a file a table is as wide as
its content, and at a terminal its cells are wrapped. At a narrow terminal, where wrapping would
split words, each row is a block with a line for each cell. Every cell is cleaned."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import zip_longest

from sendroute.reports.text import (
    NARROW,
    PLAIN,
    Console,
    TextStyle,
    clean,
    fold,
    no_command,
    pad,
    paint,
    width,
    wrap,
)

_GAP = 2
_NARROWEST = 6
_BLOCKS = 80
_BESIDE = 16
"""A cell is beside its name if it has so many columns there; otherwise it is below."""
_BELOW = 2
_RIGID = frozenset({"TIME", "SINCE", "SEEN", "REVISION", "DOMAIN", "ROUTE"})
"""Columns that are wrapped last, because half a time is useless, and users search for domains and
routes."""


def table(
    heads: Sequence[str], rows: Collection[Sequence[str]], *, console: Console = PLAIN
) -> Iterator[str]:
    """Yield a table.

    Args:
        heads: the name of each column.
        rows: the cells of each row, one for each column. They are cleaned here.
        console: where it is written.

    Yields:
        The heads, then each row, with their line breaks. A row of wrapped cells has several lines.
    """
    columns = Columns(heads)
    for row in rows:
        columns.fit(row)
    yield from columns.lines(rows, console=console)


class Columns:
    """The columns of a table of any length: :meth:`fit` each row, then write the :meth:`lines` of
    the same rows. An ``optional`` column is left out if all its cells are empty."""

    def __init__(self, heads: Sequence[str], optional: Collection[str] = ()) -> None:
        self.is_empty = True
        self._heads = heads
        self._optional = optional
        self._widths = [0] * len(heads)

    def fit(self, row: Sequence[str]) -> None:
        """Make the columns wide enough for a row."""
        self.is_empty = False
        widths = self._widths
        for index, cell in enumerate(row):
            columns = _measured(cell)[1]
            if columns > widths[index]:
                widths[index] = columns

    def lines(self, rows: Iterable[Sequence[str]], *, console: Console = PLAIN) -> Iterator[str]:
        """Yield a table whose rows were fitted.

        Args:
            rows: the rows that were passed to :meth:`fit`, in the same order.
            console: where it is written.

        Yields:
            The heads, then each row, with their line breaks. A row of wrapped cells has several
            lines. If each row is a block, the heads are in the rows, and the first text is empty.
        """
        shown = [
            index
            for index, head in enumerate(self._heads)
            if head not in self._optional or self._widths[index]
        ]
        heads = [self._heads[index] for index in shown]
        widths = [max(width(self._heads[index]), self._widths[index]) for index in shown]
        if console.columns is not None:
            room = console.columns - _GAP * (len(heads) - 1)
            if console.columns < _BLOCKS and sum(widths) > room:
                yield ""
                yield from _blocks(
                    heads, ([row[index] for index in shown] for row in rows), console
                )
                return
            _narrow(widths, [index for index, head in enumerate(heads) if head not in _RIGID], room)
            _narrow(widths, range(len(heads)), room)
        head = _row(heads, widths).splitlines()
        yield "".join(paint(line, TextStyle.BOLD, console.colour) + "\n" for line in head)
        for row in rows:
            yield _row([row[index] for index in shown], widths)


@lru_cache(4096)
def _measured(cell: str) -> tuple[str, int]:
    """The cell cleaned, and the columns that it takes. Most cells of a long table are repeated."""
    cleaned = clean(cell)
    return cleaned, width(cleaned)


def _blocks(heads: Sequence[str], rows: Iterable[Sequence[str]], console: Console) -> Iterator[str]:
    """A block for each row: a line for each cell that is not empty, below an empty line."""
    indent = max(map(width, heads)) + _GAP
    for number, row in enumerate(rows):
        lines = ["\n"] if number else []
        for head, cell in zip(heads, row, strict=True):
            if cell:
                field = _field(head, clean(cell), indent, console)
                lines += (no_command(line).rstrip() + "\n" for line in field)
        yield "".join(lines)


def _field(head: str, cell: str, indent: int, console: Console) -> Iterator[str]:
    """The lines of a cell and its head: beside it, or below it if the terminal is too narrow."""
    columns = console.columns or 0
    if columns - indent < _BESIDE:
        for part in fold(head, columns):
            yield paint(part, TextStyle.BOLD, console.colour)
        yield from (" " * _BELOW + part for part in fold(cell, columns - _BELOW))
        return
    first, *others = fold(cell, columns - indent)
    gap = " " * (indent - width(head))
    yield f"{paint(head, TextStyle.BOLD, console.colour)}{gap}{first}"
    yield from (" " * indent + part for part in others)


def _narrow(widths: list[int], yielding: Sequence[int], room: int) -> None:
    """Take from the widest of the columns that may yield until all fit."""
    while yielding and sum(widths) > room:
        widest = max(yielding, key=widths.__getitem__)
        if widths[widest] <= _NARROWEST:
            return
        widths[widest] -= 1


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    """The lines of a row: one, unless a cell is wrapped."""
    fitted, wrapped = [], False
    for cell, columns in zip(cells, widths, strict=True):
        cleaned, taken = _measured(cell)
        wrapped = wrapped or taken > columns
        fitted.append(cleaned + " " * (columns - taken))
    if not wrapped:
        return no_command((" " * _GAP).join(fitted)).rstrip() + "\n"
    folded = [
        fold(_measured(cell)[0], columns) for cell, columns in zip(cells, widths, strict=True)
    ]
    lines = (
        no_command((" " * _GAP).join(map(pad, parts, widths))).rstrip() + "\n"
        for parts in zip_longest(*folded, fillvalue="")
    )
    return "".join(lines)


def pairs(items: Sequence[tuple[str, str]], console: Console = PLAIN) -> Iterator[str]:
    """Write lines of a name and a value, with the values in one column.

    Args:
        items: names and values, at least one. A value may hold anything: it is cleaned.
        console: at a terminal, a long value continues below itself.

    Yields:
        The lines, each with its end.
    """
    indent = max(len(name) for name, _ in items) + _GAP
    if console.columns is not None and console.columns < NARROW:
        for name, value in items:
            lines = [
                *fold(name, console.columns),
                *wrap(clean(value), _BELOW, columns=console.columns),
            ]
            yield from (no_command(line).rstrip() + "\n" for line in lines)
        return
    for name, value in items:
        first, *continuation = wrap(clean(value), indent, columns=console.columns) or [""]
        yield f"{name:<{indent}}{first.lstrip()}".rstrip() + "\n"
        yield from (no_command(line) + "\n" for line in continuation)
