"""Each directory of tests/cases/edit has a tree before and after a command. Every difference is
intended."""

import json
import shlex
import shutil
from pathlib import Path

import pytest

from .conftest import Program, files_of

CASES = sorted((Path(__file__).parents[1] / "cases/edit").iterdir())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Path, place: Path, sendroute: Program, pytestconfig: pytest.Config) -> None:
    shutil.copytree(case / "before", place, dirs_exist_ok=True)
    before = errors(sendroute)
    command = shlex.split((case / "command").read_text())
    tried = sendroute("edit", *command, "--dry-run")
    assert tried.status == 0, tried
    assert files_of(place) == files_of(case / "before"), "a dry run writes nothing"
    ran = sendroute("edit", *command)
    assert ran.status == 0, ran
    if pytestconfig.getoption("--rewrite-cases"):
        shutil.rmtree(case / "after", ignore_errors=True)
        shutil.copytree(place, case / "after")
    assert files_of(place) == files_of(case / "after")
    assert errors(sendroute) <= before, "validate finds nothing new"


def errors(sendroute: Program) -> set[tuple[str, str]]:
    found = json.loads(sendroute("validate", ".", "-o", "json").out)["findings"]
    return {(each["code"], each["message"]) for each in found if each["severity"] == "error"}
