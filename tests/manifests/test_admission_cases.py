"""What the reader of files decides on the documents of the list that an API server decides on too
(:mod:`tests.kubernetes`)."""

import json
from pathlib import Path

import pytest

from sendroute.manifests.tree import read_tree
from sendroute.model.finding import Severity

from .admission_cases import CASES, Case

# What depends on other documents.
_OTHERS = {"no-platform", "unknown-account", "unknown-plan", "unknown-profile"}


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_files_accept_and_refuse(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "object.json"
    path.write_text(json.dumps(case.document))
    findings = read_tree([str(path)]).desired.findings
    errors = {item.code for item in findings if item.severity is Severity.ERROR} - _OTHERS
    assert bool(errors) == case.refused_in_files, findings


def test_names_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
