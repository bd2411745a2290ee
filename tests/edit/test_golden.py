"""Runs the command of each directory in tests/cases/edit and compares the tree after it."""

import json
import shlex
import shutil
from pathlib import Path

import pytest

from .conftest import Program, files_of

CASES = sorted((Path(__file__).parents[1] / "cases/edit").iterdir())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_edit_gives_the_expected_tree(
    case: Path, workdir: Path, sendroute: Program, pytestconfig: pytest.Config
) -> None:
    shutil.copytree(case / "before", workdir, dirs_exist_ok=True)
    before = errors(sendroute)
    command = shlex.split((case / "command").read_text())
    tried = sendroute("edit", *command, "--dry-run")
    assert tried.status == 0, tried
    assert files_of(workdir) == files_of(case / "before"), "a dry run writes nothing"
    ran = sendroute("edit", *command)
    assert ran.status == 0, ran
    if pytestconfig.getoption("--rewrite-cases"):
        shutil.rmtree(case / "after", ignore_errors=True)
        shutil.copytree(workdir, case / "after")
    assert files_of(workdir) == files_of(case / "after")
    assert errors(sendroute) <= before, "validate reports no new finding"


def errors(sendroute: Program) -> set[tuple[str, str]]:
    findings = json.loads(sendroute("validate", ".", "-o", "json").out)["findings"]
    return {(f["code"], f["message"]) for f in findings if f["severity"] == "error"}
