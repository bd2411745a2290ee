"""Every format of a plan, its result and its findings, compared with golden files."""

from pathlib import Path

import pytest

from sendroute import __version__
from sendroute.model.change import Plan
from sendroute.reports import report as reports
from sendroute.reports.render import Format, render
from sendroute.reports.report import Report
from sendroute.reports.text import Console

CASES = Path(__file__).parent.parent / "cases" / "reports"

ENDINGS = {
    Format.TEXT: "txt",
    Format.JSON: "json",
    Format.MARKDOWN: "md",
    Format.HTML: "html",
    Format.GITHUB: "github",
    Format.SARIF: "sarif",
    Format.JUNIT: "xml",
}


def subject(name: str, sample, locate) -> Report:
    match name:
        case "plan":
            return reports.of_plan(sample.plan, locate=locate)
        case "apply":
            return reports.of_result(sample.result, locate=locate)
        case "validate":
            return reports.of_findings(sample.findings, locate=locate)
        case "empty-plan":
            return reports.of_plan(Plan("lineage", 7, None, ()))
        case "empty-validate":
            return reports.of_findings(())
    raise ValueError(name)


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("name", ["plan", "apply", "validate", "empty-plan", "empty-validate"])
def test_the_report_equals_the_golden_file(name, form, sample, locate, request):
    shown = "".join(render(subject(name, sample, locate), form))
    shown = shown.replace(f'"{__version__}"', '"VERSION"')
    golden = CASES / f"{name}.{ENDINGS[form]}"
    if request.config.getoption("--rewrite-cases"):
        golden.write_text(shown, encoding="utf-8")
    assert shown == golden.read_text(encoding="utf-8")


def test_colour_adds_only_colour_sequences(sample, locate):
    import re

    report = subject("plan", sample, locate)
    coloured = "".join(render(report, Format.TEXT, console=Console(colour=True)))
    assert "\x1b[31m" in coloured
    assert re.sub("\x1b\\[[0-9]+m", "", coloured) == "".join(render(report, Format.TEXT))


@pytest.mark.parametrize("name", ["plan", "apply"])
def test_the_report_at_a_terminal_equals_the_golden_file(name, sample, locate, request):
    shown = "".join(
        render(subject(name, sample, locate), Format.TEXT, console=Console(columns=100))
    )
    golden = CASES / f"{name}-terminal.txt"
    if request.config.getoption("--rewrite-cases"):
        golden.write_text(shown, encoding="utf-8")
    assert shown == golden.read_text(encoding="utf-8")
