"""Imports point inwards: which packages each package may import, read from the sources."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "operator/sendroute"

# In addition to itself, the standard library and other projects.
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
# The core works on values only; everything else is passed in.
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
# Slow imports: only inside functions, or in modules that are imported inside functions.
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
    names = []
    for name in imports(tree):
        first, _, rest = name.partition(".")
        if first == "sendroute":
            target = rest.partition(".")[0]
            if target and target not in allowed:
                names.append(name)
        elif room in PURE and first not in FOR_PURE:
            names.append(name)
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_nothing_outward(path: Path) -> None:
    assert outward(path, ast.parse(path.read_text())) == []


def test_every_package_has_a_rule() -> None:
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
        "the planner imports a database",
        "the planner imports the store",
        "the model imports the system in a function",
        "the store imports the reports",
        "the reconciler imports a store",
    ],
)
def test_an_outward_import_is_detected(room: str, line: str) -> None:
    assert outward(PACKAGE / room / "module.py", ast.parse(line))


def test_help_imports_only_what_it_needs() -> None:
    tree = ast.parse((PACKAGE / "cli/main.py").read_text())
    top = ast.Module([node for node in tree.body if not isinstance(node, ast.FunctionDef)], [])
    ours = {name for name in imports(top) if name.startswith("sendroute.")}
    assert ours == TOP_LEVEL_OF_MAIN


# The modules of the store, lowest level first: a module may import modules of earlier lines.
STORE = (
    {"errors", "tables", "states", "database", "migrate"},
    {"url", "revisions", "migrations.env", "sqlite.errors", "postgres.errors", "postgres.server"},
    {"translation", "postgres.connect"},
    {"schema", "atomic_create", "sqlite.watch", "postgres.watch"},
    {"sqlite.database", "postgres.database"},
    # The statements are the same for both databases; these two modules choose the database.
    {"backend", "postgres.bulk"},
    {"bulk"},
    {"history", "account_status", "bulk_switch", "copy", "export", "reading"},
    {"queries"},
    {"endpoints", "lockfile", "backups"},
    {"commit"},
    {"restore"},
    {"record"},
    {"create"},
)
LEVEL = {module: level for level, modules in enumerate(STORE) for module in modules}
# Modules that both databases may import. Neither database imports the other.
DATABASE_SIDE = {"errors", "tables", "database", "translation", "url"}


def store_modules() -> Iterator[tuple[str, Path]]:
    root = PACKAGE / "store"
    for path in sorted(root.rglob("*.py")):
        if path.name != "__init__.py":
            yield ".".join(path.relative_to(root).with_suffix("").parts), path


def store_imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "sendroute.store":
            yield from (alias.name for alias in node.names)
    prefix = "sendroute.store."
    yield from (name.removeprefix(prefix) for name in imports(tree) if name.startswith(prefix))


def upward(module: str, tree: ast.AST) -> list[str]:
    names = store_imports(tree)
    if module.startswith("migrations.versions."):
        return [*names]  # a migration never changes, but the current schema does
    imported = [name for name in names if LEVEL[name] >= LEVEL[module]]
    package, dot, _ = module.partition(".")
    if dot and package in ("sqlite", "postgres"):
        common = (name for name in store_imports(tree) if not name.startswith(f"{package}."))
        imported += [name for name in common if name not in DATABASE_SIDE]
    return imported


@pytest.mark.parametrize("module", dict(store_modules()))
def test_a_module_of_the_store_imports_only_lower_modules(module: str) -> None:
    assert upward(module, ast.parse(dict(store_modules())[module].read_text())) == []


def test_every_module_of_the_store_has_a_level() -> None:
    modules = {name for name, _ in store_modules() if not name.startswith("migrations.versions.")}
    assert modules == LEVEL.keys()


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("commit", "from sendroute.store.record import Store"),
        ("tables", "from sendroute.store import states"),
        ("history", "def late():\n    from sendroute.store.commit import commit"),
        ("postgres.database", "from sendroute.store.sqlite.errors import translate"),
        ("sqlite.database", "from sendroute.store.revisions import begin"),
        ("migrations.versions.v0001_record", "from sendroute.store.tables import store"),
    ],
    ids=[
        "the writer imports the store",
        "a module imports another of the same level",
        "the reader imports the writer in a function",
        "a database imports the other",
        "a database imports the rows",
        "a migration imports the current schema",
    ],
)
def test_an_upward_import_in_the_store_is_detected(module: str, line: str) -> None:
    assert upward(module, ast.parse(line))
