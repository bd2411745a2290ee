"""Workflow commands, escaped as GitHub documents them."""

import pytest

from sendroute.model.codes import finding
from sendroute.model.finding import Position
from sendroute.reports import report as reports
from sendroute.reports.as_github import lines


def command(finding, position=None):
    located = type(finding)(
        finding.code, finding.severity, finding.message, finding.hint, None, position
    )
    return next(iter(lines(reports.of_findings([located]))))


@pytest.mark.parametrize(
    ("file", "escaped"),
    [
        ("a.yaml", "a.yaml"),
        ("a,line=1.yaml", "a%2Cline=1.yaml"),
        ("a:b.yaml", "a%3Ab.yaml"),
        ("50%.yaml", "50%25.yaml"),
    ],
)
def test_special_characters_of_a_property_are_escaped(file, escaped):
    line = command(finding("invalid-value", "m"), Position(file, 7, 12))
    assert line == f"::error file={escaped},line=7,col=12,title=invalid-value::m"


def test_a_message_keeps_its_colons_and_has_its_hint_on_a_separate_line():
    line = command(finding("unusual-port", "100%: a, b", hint="do c"))
    assert line == "::warning title=unusual-port::100%25: a, b%0AHint: do c"


@pytest.mark.parametrize(
    ("code", "level"),
    [("unknown-profile", "error"), ("awaiting-confirmation", "error"), ("suspended", "notice")],
)
def test_the_command_depends_on_the_severity(code, level):
    assert command(finding(code, "m")).startswith(f"::{level} ")
