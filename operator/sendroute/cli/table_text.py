"""Rows as aligned columns, every value cleaned of what a terminal acts on."""

from collections.abc import Iterator, Sequence

from sendroute.reports.text import Style, clean, pad, paint, width


def columns(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, colour: bool = False
) -> Iterator[str]:
    """A line for the head and one for each row, newline included; nothing is cut, for a list is
    read by grep as often as by eye."""
    cleaned = [[clean(cell) for cell in row] for row in rows]
    widths = [max(map(width, cells)) for cells in zip(head, *cleaned, strict=True)]
    yield paint(_line(head, widths), Style.BOLD, colour) + "\n"
    for row in cleaned:
        yield _line(row, widths) + "\n"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(map(pad, cells, widths)).rstrip()


def pairs(items: Sequence[tuple[str, str]]) -> Iterator[str]:
    """``name   value`` on a line each."""
    broad = max(len(name) for name, _ in items)
    for name, value in items:
        yield f"{name:<{broad}}  {clean(value)}".rstrip() + "\n"
