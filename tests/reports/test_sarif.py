"""SARIF 2.1.0: the requirements of the OASIS schema for the parts that Sendroute writes."""

import json

import pytest

from sendroute.model.codes import Code, finding
from sendroute.model.finding import Position
from sendroute.reports import report as reports
from sendroute.reports.as_sarif import chunks


def run_of(*findings):
    log = json.loads("".join(chunks(reports.of_findings(findings))))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    return run


def test_every_reported_code_is_a_rule_with_help():
    rules = run_of(*(finding(code, "m") for code in Code))["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == sorted(Code)
    assert all(rule["help"]["text"] and rule["shortDescription"]["text"] for rule in rules)


@pytest.mark.parametrize("code", Code)
def test_a_result_points_to_its_rule(code):
    run = run_of(finding(code, "m"))
    (result,) = run["results"]
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == code


@pytest.mark.parametrize(
    ("code", "level", "severity"),
    [
        ("unknown-profile", "error", "error"),
        ("awaiting-confirmation", "error", "refused"),
        ("unusual-port", "warning", "warning"),
        ("suspended", "note", "info"),
    ],
)
def test_a_refusal_is_an_error_with_its_severity(code, level, severity):
    (result,) = run_of(finding(code, "m"))["results"]
    assert result["level"] == level
    assert result["properties"]["severity"] == severity


def test_positions_are_regions_of_files_below_the_source_root():
    base = finding("duplicate-profile", "m", related=())
    moved = type(base)(
        base.code,
        base.severity,
        "see [this](http://x)",
        position=Position("a b/c.yaml", 7, 12),
        related=(Position("d.yaml", 2, 1),),
    )
    (result,) = run_of(moved)["results"]
    physical = result["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"] == {"uri": "a%20b/c.yaml", "uriBaseId": "%SRCROOT%"}
    assert physical["region"] == {"startLine": 7, "startColumn": 12}
    (related,) = result["relatedLocations"]
    assert related["physicalLocation"]["artifactLocation"]["uri"] == "d.yaml"
    assert result["message"]["text"] == "see \\[this\\](http://x)"
