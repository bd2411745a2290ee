"""JUnit: what fails the command fails a test case."""

import xml.etree.ElementTree as ET

import pytest

from sendroute.model.codes import finding
from sendroute.reports import report as reports
from sendroute.reports.as_junit import lines


def suite(*findings, strict=False):
    text = "\n".join(lines(reports.of_findings(findings, strict=strict)))
    found = ET.fromstring(text).find("testsuite")  # noqa: S314 - our own text
    assert found is not None
    return found


def test_nothing_found_is_one_case_that_passes():
    found = suite()
    assert (found.get("tests"), found.get("failures")) == ("1", "0")
    assert len(found.findall("testcase")) == 1
    assert found.find("testcase/failure") is None


@pytest.mark.parametrize(
    ("code", "strict", "fails"),
    [
        pytest.param("unknown-profile", False, True, id="an error fails"),
        pytest.param("awaiting-confirmation", False, True, id="a refusal fails"),
        pytest.param("unusual-port", False, False, id="a warning passes"),
        pytest.param("unusual-port", True, True, id="a warning fails where strict"),
        pytest.param("suspended", True, False, id="information passes"),
    ],
)
def test_a_case_fails_as_the_command_does(code, strict, fails):
    found = suite(finding(code, "a <b> & 'c'", hint="h"), strict=strict)
    assert found.get("failures") == str(int(fails))
    failure = found.find("testcase/failure")
    assert (failure is not None) == fails
    if failure is not None:
        assert failure.get("type") == code
        assert failure.get("message") == "a <b> & 'c'"
