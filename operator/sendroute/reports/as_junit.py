"""Findings as JUnit XML, the form that CI servers read (the Apache Ant and Jenkins schema).

One test case per finding, or one that passes if there are none. Errors and refusals are failures,
and so are warnings if they fail the command (``strict``). Characters that XML 1.0 does not allow
(section 2.2: control characters, surrogates, noncharacters) are replaced by visible escapes.
"""

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from sendroute.model.finding import Finding, Position, Severity
from sendroute.reports.report import Report, file_of, spot
from sendroute.reports.text import clean


def lines(report: Report) -> Iterator[str]:
    failures = sum(_fails(found, report) for found in report.findings)
    count = f'tests="{max(len(report.findings), 1)}" failures="{failures}" errors="0" time="0"'
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield f'<testsuites name="sendroute" {count}>'
    yield f'  <testsuite name="sendroute {report.command}" skipped="0" {count}>'
    for found in report.findings:
        yield from _case(found, _fails(found, report))
    if not report.findings:
        yield f'    <testcase classname="sendroute" name="{report.command}" time="0"/>'
    yield "  </testsuite>"
    yield "</testsuites>"


def _fails(found: Finding, report: Report) -> bool:
    if found.severity is Severity.WARNING:
        return report.strict
    return found.severity in (Severity.ERROR, Severity.REFUSED)


def _case(found: Finding, fails: bool) -> Iterator[str]:
    place = found.position or found.where
    file = file_of(found) or "sendroute"
    attributes = f"classname={_attribute(file)} name={_attribute(_name(found))}"
    if isinstance(found.position, Position):
        attributes += f' file={_attribute(file)} line="{found.position.line}"'
    yield f'    <testcase {attributes} time="0">'
    sentences = [f"{spot(place)}: {found.message}" if place else found.message]
    sentences += [f"hint: {found.hint}"] if found.hint else []
    sentences += [f"see also: {spot(related)}" for related in found.related]
    said = "\n".join(escape(clean(sentence)) for sentence in sentences)
    if fails:
        kind = f"type={_attribute(found.code)} message={_attribute(found.message)}"
        yield f"      <failure {kind}>{said}</failure>"
    else:
        yield f"      <system-out>{found.severity}: {said}</system-out>"
    yield "    </testcase>"


def _name(found: Finding) -> str:
    if found.position is None:
        return f"{found.code}: {found.message}"
    return f"{found.code} at {found.position.line}:{found.position.column}"


def _attribute(text: str) -> str:
    return quoteattr(clean(text))
