"""The printed table: one row per limit, and whether this machine meets it."""

from collections.abc import Iterable
from typing import NamedTuple

HEAD = ("goal", "case", "ours", "the other", "ratio", "limit", "")


class Row(NamedTuple):
    """``limit`` is the upper bound of ``value``: a ratio, megabytes, an exponent or seconds. Both
    are None in a row without a goal. ``unit`` is the unit of ``value``; ``note`` says why there is
    no value; ``failed``: there should be a value."""

    goal: str
    case: str
    ours: str
    other: str = "-"
    value: float | None = None
    limit: float | None = None
    unit: str = "x"
    note: str = ""
    failed: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the value is within the limit; None without a limit or a value."""
        if self.value is None or self.limit is None:
            return None
        return self.value <= self.limit

    @property
    def status(self) -> str:
        match self.met:
            case None:
                return self.note
            case True:
                return "met"
            case False:
                return "MISSED"


def render(rows: Iterable[Row]) -> str:
    """A text table with aligned columns."""
    cells = [HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEAD))]
    lines = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]
    lines.insert(1, "  ".join("-" * width for width in widths).rstrip())
    return "\n".join(lines)


def as_json(row: Row) -> dict[str, object]:
    return {**row._asdict(), "met": row.met}


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.goal,
        row.case,
        row.ours,
        row.other,
        _figure(row.value, row.unit),
        "" if row.limit is None else f"<= {_figure(row.limit, row.unit)}",
        row.status,
    )


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    number = f"{value:.0f}" if value >= 10 else f"{value:.2f}".rstrip("0").rstrip(".")
    return f"{number} {unit}".strip()


def seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


def megabytes(value: float) -> str:
    """A number of bytes in units of 1,000,000 bytes."""
    return f"{value / 1e6:.0f} MB"
