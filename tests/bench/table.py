"""What is printed: one row a limit, and whether the machine at hand keeps it."""

from collections.abc import Iterable
from typing import NamedTuple

HEAD = ("goal", "what", "ours", "the other", "ratio", "limit", "")


class Row(NamedTuple):
    """``value`` is what ``limit`` bounds from above: a ratio, megabytes, an exponent, seconds; both
    None for a row that only tells. ``unit`` says what ``value`` is; ``note`` why there is none;
    ``failed`` that there ought to be one."""

    goal: str
    what: str
    ours: str
    other: str = "-"
    value: float | None = None
    limit: float | None = None
    unit: str = "x"
    note: str = ""
    failed: bool = False

    @property
    def met(self) -> bool | None:
        """None where there is nothing to be met, or it could not be measured."""
        if self.value is None or self.limit is None:
            return None
        return self.value <= self.limit

    @property
    def verdict(self) -> str:
        match self.met:
            case None:
                return self.note
            case True:
                return "met"
            case False:
                return "MISSED"


def render(rows: Iterable[Row]) -> str:
    """A plain table, columns aligned."""
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
        row.what,
        row.ours,
        row.other,
        _figure(row.value, row.unit),
        "" if row.limit is None else f"<= {_figure(row.limit, row.unit)}",
        row.verdict,
    )


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    number = f"{value:.0f}" if value >= 50 else f"{value:.2f}".rstrip("0").rstrip(".")
    return f"{number} {unit}".strip()


def seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


def megabytes(value: float) -> str:
    """Of 1,000,000 bytes."""
    return f"{value / 1e6:.0f} MB"
