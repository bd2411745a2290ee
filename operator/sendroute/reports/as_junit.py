"""Findings as JUnit XML, which CI servers read (the schema of Apache Ant and Jenkins).

One test case per finding, or one that passes if there are none. Errors and refusals are failures;
with ``strict``, warnings too. Characters that XML 1.0 does not allow
(section 2.2: control characters, surrogates, noncharacters) are replaced by visible escapes.
"""

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from sendroute.model.finding import Finding, Position, Severity
from sendroute.reports.report import Report, file_of, format_position
from sendroute.reports.text import clean, no_command


def lines(report: Report) -> Iterator[str]:
    failures = sum(_fails(finding, report) for finding in report.findings)
    count = f'tests="{max(len(report.findings), 1)}" failures="{failures}" errors="0" time="0"'
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield f'<testsuites name="sendroute" {count}>'
    yield f'  <testsuite name="sendroute {report.command}" skipped="0" {count}>'
    for finding in report.findings:
        yield from _test_case(finding, _fails(finding, report))
    if not report.findings:
        yield f'    <testcase classname="sendroute" name="{report.command}" time="0"/>'
    yield "  </testsuite>"
    yield "</testsuites>"


def _fails(finding: Finding, report: Report) -> bool:
    if finding.severity is Severity.WARNING:
        return report.strict
    return finding.severity in (Severity.ERROR, Severity.REFUSED)


def _test_case(finding: Finding, fails: bool) -> Iterator[str]:
    location = finding.position or finding.where
    file = file_of(finding) or "sendroute"
    attributes = f"classname={_attribute(file)} name={_attribute(_name(finding))}"
    if isinstance(finding.position, Position):
        attributes += f' file={_attribute(file)} line="{finding.position.line}"'
    yield f'    <testcase {attributes} time="0">'
    sentences = [f"{format_position(location)}: {finding.message}" if location else finding.message]
    sentences += [f"hint: {finding.hint}"] if finding.hint else []
    sentences += [f"see also: {format_position(related)}" for related in finding.related]
    body = "\n".join(escape(no_command(clean(sentence))) for sentence in sentences)
    if fails:
        kind = f"type={_attribute(finding.code)} message={_attribute(finding.message)}"
        yield f"      <failure {kind}>{body}</failure>"
    else:
        yield f"      <system-out>{finding.severity}: {body}</system-out>"
    yield "    </testcase>"


def _name(finding: Finding) -> str:
    if finding.position is None:
        return f"{finding.code}: {finding.message}"
    return f"{finding.code} at {finding.position.line}:{finding.position.column}"


def _attribute(text: str) -> str:
    return quoteattr(clean(text))
