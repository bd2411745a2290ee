"""Each directory of tests/cases/manifests has manifests and their expected findings."""

from pathlib import Path

import pytest

from sendroute.manifests.compile import compile_reading
from sendroute.manifests.locate import with_positions
from sendroute.manifests.read import TreeReading
from sendroute.manifests.sources import FileSource
from sendroute.model.finding import Finding, Severity

CASES = Path(__file__).parent.parent / "cases" / "manifests"


def reported(finding: Finding) -> str:
    lines = [f"{finding.position}: {finding.severity} {finding.code}: {finding.message}"]
    lines += [f"    hint: {finding.hint}"] if finding.hint else []
    lines += [f"    see: {location}" for location in finding.related]
    lines += [f"    account: {finding.namespace}/{finding.account}"] if finding.account else []
    return "\n".join(lines)


def outcome() -> str:
    tree = FileSource(["."])
    reading = TreeReading(tree)
    documents = list(reading.documents())
    findings = with_positions(tree, [*reading.findings, *reading.advice])
    kinds = [
        f"{where.file}[{where.document}] {type(document).__name__}" for document, where in documents
    ]
    lines = [reported(finding) for finding in findings]
    lines += [f"read: {kind}" for kind in kinds]
    lines += [f"passed over: {reading.foreign}"] if reading.foreign else []
    lines += [f"stopped: {key}" for key in sorted(reading.stopped)]
    lines += [] if not reading.unread else ["not complete"]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_a_tree_gives_exactly_the_expected_findings(
    case: str, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    monkeypatch.chdir(CASES / case)
    expected = Path("expected.txt")
    given = outcome()
    if pytestconfig.getoption("--rewrite-cases"):
        expected.write_text(given)
    assert given == expected.read_text()


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_a_tree_without_a_platform_has_an_error_that_says_why(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that needs the platform reports these errors, and none of its own."""
    monkeypatch.chdir(CASES / case)
    desired = compile_reading(TreeReading(FileSource(["."])))
    errors = [item for item in desired.findings if item.severity is Severity.ERROR]
    assert desired.platform is not None or errors
