"""One report in one format; only the module of that format is imported."""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import islice
from typing import assert_never

from sendroute.reports.report import Report
from sendroute.reports.text import PLAIN, Console

_AT_ONCE = 500  # lines


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    HTML = "html"
    GITHUB = "github"
    SARIF = "sarif"
    JUNIT = "junit"


def render(
    report: Report, form: Format, *, console: Console = PLAIN, shown: Report | None = None
) -> Iterator[str]:
    """Render a report.

    Args:
        report: the report.
        form: the format.
        console: where it is written; only for ``TEXT``.
        shown: the report of the plan, if the reader has seen it just before; only for ``TEXT``.

    Returns:
        The text in chunks.
    """
    match form:
        case Format.TEXT:
            from sendroute.reports import as_text

            return _joined_lines(as_text.lines(report, console=console, shown=shown))
        case Format.JSON:
            from sendroute.reports import as_json

            return as_json.chunks(report)
        case Format.MARKDOWN:
            from sendroute.reports import as_markdown

            return iter([as_markdown.text(report)])
        case Format.HTML:
            from sendroute.reports import as_html

            return _joined_lines(as_html.lines(report))
        case Format.GITHUB:
            from sendroute.reports import as_github

            return _joined_lines(as_github.lines(report))
        case Format.SARIF:
            from sendroute.reports import as_sarif

            return as_sarif.chunks(report)
        case Format.JUNIT:
            from sendroute.reports import as_junit

            return _joined_lines(as_junit.lines(report))
        case _:
            assert_never(form)


def _joined_lines(lines: Iterable[str]) -> Iterator[str]:
    """Join many lines per chunk, because writing a line takes as long as rendering it."""
    remaining = iter(lines)
    while batch := list(islice(remaining, _AT_ONCE)):
        yield "\n".join(batch) + "\n"
