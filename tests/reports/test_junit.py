"""JUnit: a finding that makes the command fail is a failed test case."""

import xml.etree.ElementTree as ET

import pytest

from sendroute.model.codes import finding
from sendroute.reports import report as reports
from sendroute.reports.as_junit import lines


def suite(*findings, strict=False):
    text = "\n".join(lines(reports.of_findings(findings, strict=strict)))
    element = ET.fromstring(text).find("testsuite")  # noqa: S314 - our own text
    assert element is not None
    return element


def test_without_findings_there_is_one_passed_case():
    result = suite()
    assert (result.get("tests"), result.get("failures")) == ("1", "0")
    assert len(result.findall("testcase")) == 1
    assert result.find("testcase/failure") is None


@pytest.mark.parametrize(
    ("code", "strict", "fails"),
    [
        pytest.param("unknown-profile", False, True, id="an error fails"),
        pytest.param("awaiting-confirmation", False, True, id="a refusal fails"),
        pytest.param("unusual-port", False, False, id="a warning passes"),
        pytest.param("unusual-port", True, True, id="a warning fails with strict"),
        pytest.param("suspended", True, False, id="information passes"),
    ],
)
def test_a_case_fails_if_the_finding_fails_the_command(code, strict, fails):
    result = suite(finding(code, "a <b> & 'c'", hint="h"), strict=strict)
    assert result.get("failures") == str(int(fails))
    failure = result.find("testcase/failure")
    assert (failure is not None) == fails
    if failure is not None:
        assert failure.get("type") == code
        assert failure.get("message") == "a <b> & 'c'"
