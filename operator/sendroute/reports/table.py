"""Tables of text: columns aligned, 100 wide at most, every cell cleaned. Lines end in newlines."""

from collections.abc import Iterator, Sequence

from sendroute.reports.text import WIDTH, Style, clean, middle, pad, paint, width, wrap

_GAP = 2
_NARROWEST = 6
_RIGID = frozenset({"TIME", "SINCE", "SEEN", "REVISION", "DOMAIN"})
"""Columns that are cut last: half a time says nothing, and a domain is looked for by its name."""


def table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, colour: bool = False
) -> Iterator[str]:
    """The head and a line for each row. Where all does not fit, the widest columns give way and
    their cells are cut in the middle; -o json has them whole."""
    cleaned = [[clean(cell) for cell in row] for row in rows]
    widths = [
        max(width(head), *(width(row[index]) for row in cleaned)) if cleaned else width(head)
        for index, head in enumerate(heads)
    ]
    yielding = [index for index, head in enumerate(heads) if head not in _RIGID]
    room = WIDTH - _GAP * (len(heads) - 1)
    _narrow(widths, yielding, room)
    _narrow(widths, range(len(heads)), room)
    yield paint(_line(heads, widths).rstrip(), Style.BOLD, colour) + "\n"
    for row in cleaned:
        yield _line(row, widths)


def _narrow(widths: list[int], yielding: Sequence[int], room: int) -> None:
    """Takes from the widest of the columns that may yield until all fit."""
    while yielding and sum(widths) > room:
        widest = max(yielding, key=widths.__getitem__)
        if widths[widest] <= _NARROWEST:
            return
        widths[widest] -= 1


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    fitted = (pad(middle(cell, w), w) for cell, w in zip(cells, widths, strict=True))
    return (" " * _GAP).join(fitted).rstrip() + "\n"


def pairs(items: Sequence[tuple[str, str]]) -> Iterator[str]:
    """``name   value`` on a line each, a long value going on below itself."""
    indent = max(len(name) for name, _ in items) + _GAP
    for name, value in items:
        first, *more = wrap(clean(value), indent) or [""]
        yield f"{name:<{indent}}{first.lstrip()}".rstrip() + "\n"
        yield from (line + "\n" for line in more)
