"""What CONTRIBUTING.md says of the code is so: its paths exist, its arrows are the tested ones."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
MAY_IMPORT: dict[str, set[str]] = runpy.run_path(str(ROOT / "tests/test_layers.py"))["MAY_IMPORT"]

NAMED = sorted(set(re.findall(r"`((?:operator|tests|schemas|examples)/[\w./-]*)`", PAGE)))
# The table of folders: a name, what it holds, what it imports.
FOLDERS = re.findall(r"^\| `(\w+)/` \| .* \| (.+) \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("path", NAMED)
def test_a_path_that_the_page_names_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_the_table_of_folders_is_what_the_layers_test_allows() -> None:
    told = {
        name: MAY_IMPORT.keys() - {name}
        if said == "everything"
        else set(re.findall(r"`(\w+)`", said))
        for name, said in FOLDERS
    }
    assert told == MAY_IMPORT
