"""Arrows point inwards: what each room may import of the others, read from the sources."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "operator/sendroute"

# Besides itself and the standard library's and other projects' modules.
MAY_IMPORT = {
    "model": set(),
    "planner": {"model"},
    # Calls of git: the cache and the base revision of manifests need them, and so does following.
    "git": {"model"},
    "manifests": {"model", "git"},
    "edit": {"model", "manifests"},
    "store": {"model"},
    "reports": {"model"},
    "credentials": {"model"},
    "connection": {"model"},
    "reconcile": {"model", "planner"},
    "delivery": {"model"},
    "runtime": {
        "model",
        "planner",
        "store",
        "credentials",
        "connection",
        "reports",
        "reconcile",
    },
    "loop": {"model", "planner", "reconcile", "runtime", "following"},
    "following": {"model", "git"},
    "telemetry": {"model"},
    "cli": {
        "model",
        "git",
        "planner",
        "manifests",
        "edit",
        "store",
        "reports",
        "reconcile",
        "runtime",
        "delivery",
        "credentials",
        "connection",
        "following",
        "telemetry",
        "loop",
    },
}
# The core decides over values: what it needs of the outside is passed in.
PURE = {"model", "planner"}
FOR_PURE = {
    "__future__",
    "collections",
    "difflib",
    "enum",
    "functools",
    "hashlib",
    "ipaddress",
    "itertools",
    "math",
    "msgspec",
    "operator",
    "re",
    "sys",
    "typing",
    "datetime",
}
# Costly to import, so only inside functions, or in modules that only functions import.
TOP_LEVEL_OF_MAIN = {
    "sendroute.cli.command_line",
    "sendroute.cli.session",
    "sendroute.cli.table",
    "sendroute.runtime.settings",
}


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path.parent != PACKAGE]


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0]


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""


def outward(path: Path, tree: ast.AST) -> list[str]:
    room = room_of(path)
    allowed = MAY_IMPORT[room] | {room}
    found = []
    for name in imports(tree):
        first, _, rest = name.partition(".")
        if first == "sendroute":
            target = rest.partition(".")[0]
            if target and target not in allowed:
                found.append(name)
        elif room in PURE and first not in FOR_PURE:
            found.append(name)
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_nothing_outward(path: Path) -> None:
    assert outward(path, ast.parse(path.read_text())) == []


def test_every_room_is_known_here() -> None:
    assert {room_of(path) for path in modules()} <= MAY_IMPORT.keys()


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("planner", "import sqlalchemy"),
        ("planner", "from sendroute.store.record import Store"),
        ("model", "def late():\n    import os"),
        ("store", "from sendroute.reports.write import write"),
        ("reconcile", "from sendroute.store.record import Store"),
    ],
    ids=[
        "the planner and a database",
        "the planner and the store",
        "the model and the system, even late",
        "the store and the reports",
        "reconciling and one store",
    ],
)
def test_an_arrow_outward_is_seen(room: str, line: str) -> None:
    assert outward(PACKAGE / room / "module.py", ast.parse(line))


def test_the_program_imports_only_what_the_help_needs() -> None:
    tree = ast.parse((PACKAGE / "cli/main.py").read_text())
    top = ast.Module([node for node in tree.body if not isinstance(node, ast.FunctionDef)], [])
    ours = {name for name in imports(top) if name.startswith("sendroute.")}
    assert ours == TOP_LEVEL_OF_MAIN
