"""Rows as CSV (RFC 4180), for spreadsheets and scripts."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from sendroute.reports.text import clean, no_command

# A spreadsheet takes a cell that begins with one of these for a formula
# (https://owasp.org/www-community/attacks/CSV_Injection).
# Some locales have full-width forms of them.
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


def lines(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the heads, then each row. A cell is cleaned, and gets a leading apostrophe if a
    spreadsheet would take it for a formula.

    Args:
        heads: the names of the columns.
        rows: the cells of each row.
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    for row in chain([heads], rows):
        writer.writerow(map(_cell, row))
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _cell(text: str) -> str:
    cleaned = no_command(clean(text))
    return f"'{cleaned}" if cleaned.startswith(_FORMULA) else cleaned
