"""What CONTRIBUTING.md says of the code is so: its paths exist, and its arrows point inwards."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "operator" / "sendroute"
PAGE = (ROOT / "CONTRIBUTING.md").read_text()

NAMED = sorted(set(re.findall(r"`((?:operator|tests|schemas|examples)/[\w./-]*)`", PAGE)))
# The table of folders: a name, what it holds, what it imports.
FOLDERS = re.findall(r"^\| `(\w+)/` \| .* \| (.+) \|$", PAGE, re.MULTILINE)


def packages_imported(source: Path) -> Iterator[str]:
    """The packages of ``sendroute`` that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(source.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}: imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        within = (name.split(".")[1] for name in names if name.startswith("sendroute."))
        yield from (name for name in within if (PACKAGE / name).is_dir())


@pytest.mark.parametrize("path", NAMED)
def test_a_path_that_the_page_names_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_the_table_of_folders_names_every_package() -> None:
    assert {name for name, _ in FOLDERS} == {
        path.parent.name for path in PACKAGE.glob("*/__init__.py")
    }


@pytest.mark.parametrize(("name", "imports"), FOLDERS)
def test_a_package_imports_only_what_its_row_says(name: str, imports: str) -> None:
    modules = sorted((PACKAGE / name).rglob("*.py"))
    assert modules
    if imports == "everything":
        return
    allowed = {name, *re.findall(r"`(\w+)`", imports)}
    reaching = {
        str(path.relative_to(PACKAGE)): wrong
        for path in modules
        if (wrong := set(packages_imported(path)) - allowed)
    }
    assert reaching == {}
