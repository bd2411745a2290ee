"""CONTRIBUTING.md is correct: its paths exist, and its imports are those that the tests allow."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
MAY_IMPORT: dict[str, set[str]] = runpy.run_path(str(ROOT / "tests/test_layers.py"))["MAY_IMPORT"]

PATHS = sorted(set(re.findall(r"`((?:operator|tests|schemas|examples)/[\w./-]*)`", PAGE)))
# The table of directories: name, contents, imports.
DIRECTORIES = re.findall(r"^\| `(\w+)/` \| .* \| (.+) \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("path", PATHS)
def test_every_path_on_the_page_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_the_table_of_directories_lists_the_allowed_imports() -> None:
    documented = {
        name: MAY_IMPORT.keys() - {name}
        if imports == "everything"
        else set(re.findall(r"`(\w+)`", imports))
        for name, imports in DIRECTORIES
    }
    assert documented == MAY_IMPORT
