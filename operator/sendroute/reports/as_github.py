"""Findings as GitHub's workflow commands, one line each, so that they annotate a pull request.

Escaping follows "Workflow commands for GitHub Actions" and actions/toolkit: percent signs and line
breaks everywhere, in properties also colons and commas.
"""

from collections.abc import Iterator

from sendroute.model.finding import Finding, Position, Severity
from sendroute.reports.report import Report, file_of
from sendroute.reports.text import clean
from sendroute.reports.words import totals

_COMMANDS = {
    Severity.ERROR: "error",
    Severity.REFUSED: "error",
    Severity.WARNING: "warning",
    Severity.INFO: "notice",
}


def lines(report: Report) -> Iterator[str]:
    for finding in report.findings:
        yield _command(finding)
    title = _property(f"sendroute {report.command}")
    yield f"::notice title={title}::{_data(totals(report))}"


def _command(finding: Finding) -> str:
    properties = {}
    if (file := file_of(finding)) is not None:
        properties["file"] = file
    if isinstance(finding.position, Position):
        properties["line"] = str(finding.position.line)
        properties["col"] = str(finding.position.column)
    properties["title"] = finding.code
    parameters = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    sentences = [finding.message] + ([f"Hint: {finding.hint}"] if finding.hint else [])
    message = "%0A".join(_data(sentence) for sentence in sentences)
    return f"::{_COMMANDS[finding.severity]} {parameters}::{message}"


def _data(text: str) -> str:
    return clean(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
