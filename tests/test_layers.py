"""Imports point inwards: which packages each package may import, read from the sources."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from sendroute.cli.commands import COMMANDS
from sendroute.cli.commands.edit import COMMANDS as EDITS
from sendroute.cli.commands.postfix import COMMANDS as POSTFIX

PACKAGE = Path(__file__).parents[1] / "operator/sendroute"

# In addition to itself, the standard library and other projects.
MAY_IMPORT = {
    "model": set(),
    "planner": {"model"},
    # Calls of git: the cache and the base revision of manifests need them, and so does following.
    "git": {"model", "files"},
    "files": set(),
    "manifests": {"model", "git", "files"},
    "edit": {"model", "manifests", "files"},
    "store": {"model", "files"},
    "reports": {"model", "files"},
    "credentials": {"model", "files"},
    "connection": {"model", "files"},
    "reconcile": {"model", "planner"},
    "delivery": {"model"},
    "postfix": {"model", "delivery", "files"},
    "runtime": {
        "model",
        "git",
        "manifests",
        "store",
        "credentials",
        "connection",
        "following",
        "reports",
        "telemetry",
        "reconcile",
    },
    "loop": {"model", "planner", "reconcile", "runtime", "following"},
    "cluster": {
        "model",
        "files",
        "following",
        "planner",
        "manifests",
        "credentials",
        "reconcile",
        "runtime",
        "telemetry",
    },
    "relay": {"model", "delivery", "postfix", "runtime", "files"},
    "following": {"model", "git", "files"},
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
        "postfix",
        "credentials",
        "connection",
        "following",
        "telemetry",
        "loop",
        "cluster",
        "relay",
        "files",
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
    "sendroute.cli",
    "sendroute.cli.command_line",
    "sendroute.cli.given_options",
    "sendroute.cli.session",
    "sendroute.model.userinfo",
    "sendroute.model.version",
    "sendroute.cli.commands",
    "sendroute.runtime.settings",
    "sendroute.reports.text",
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
            if target not in allowed:
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


# The modules of two packages, lowest level first: a module may import modules of earlier lines.
STORE = (
    {"errors", "tables", "database", "migrate", "lock_text"},
    {"states"},
    {
        "url",
        "revisions",
        "migrations.env",
        "sqlite.errors",
        "sqlite.catalog",
        "sqlite.values",
        "postgres.errors",
        "postgres.catalog",
        "postgres.server",
    },
    {"translation", "postgres.connect"},
    {"schema", "atomic_create", "sqlite.watch", "postgres.watch"},
    {"sqlite.database", "postgres.database"},
    # The statements are the same for both databases; these two modules choose the database.
    {"backend", "postgres.bulk"},
    {"bulk"},
    {
        "history",
        "account_status",
        "followed_sources",
        "applied_commits",
        "epochs",
        "bulk_switch",
        "copy",
        "current_state",
        "export",
    },
    {"relays"},
    {"queries"},
    {"endpoints", "lockfile", "backups"},
    {"lock_guard", "commit", "content"},
    {"restore"},
    {"record"},
    {"create"},
)
GROUPS = {"edit": EDITS, "postfix": POSTFIX}
CLI = (
    {
        "command_line",
        "exit_status",
        "fast_exit",
        "commands",
        "commands.edit",
        "commands.postfix",
    },
    {"given_options"},
    {"hints", "options", "profile_options", "session"},
    {"output", "long_running", "lookup", "postfix_options"},
    {
        "confirm",
        "connection_tests",
        "edit_check",
        "environment",
        "explain_message",
        "loop_runner",
        "relay_runner",
        "operator_runner",
        "stores",
    },
    {"approval", "edit_session", "plan_source"},
    {"apply_plan"},
    {f"commands.{name.replace('-', '_')}" for name in COMMANDS if name not in GROUPS}
    | {
        f"commands.{group}.{name.replace('-', '_')}"
        for group, names in GROUPS.items()
        for name in names
    },
    {"main"},
)
EDIT = (
    {"layout", "lines", "lock"},
    {"style", "tree"},
    {"rewrite", "references", "domains"},
    {"documents"},
    {"file_edit"},
    {"proposal"},
    {"placement", "edited_files", "write"},
    {"inline_profile", "account_placement"},
    {"declare"},
    # One module for each edit.
    {
        "account",
        "add_domain",
        "add_profile",
        "apply_to_all",
        "delete_domain",
        "delete_profile",
        "extract_profile",
        "rename_profile",
        "set_default",
        "set_route",
        "sync",
    },
)
LEVEL = {
    package: {module: level for level, modules in enumerate(levels) for module in modules}
    for package, levels in (("store", STORE), ("cli", CLI), ("edit", EDIT))
}
# Modules that both databases may import. Neither database imports the other.
DATABASE_SIDE = {"errors", "tables", "database", "translation", "url"}


def modules_of(package: str) -> dict[str, Path]:
    """The modules of a package by their name in it."""
    root = PACKAGE / package
    named = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name in LEVEL[package] or path.name != "__init__.py":
            named[name] = path
    return named


def imports_within(package: str, tree: ast.AST) -> Iterator[str]:
    prefix = f"sendroute.{package}"
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == prefix:
            yield from (alias.name for alias in node.names)
    yield from (
        name.removeprefix(f"{prefix}.") for name in imports(tree) if name.startswith(f"{prefix}.")
    )


def upward(package: str, module: str, tree: ast.AST) -> list[str]:
    names = list(imports_within(package, tree))
    if module.startswith("migrations.versions."):
        return names  # a migration never changes, but the current schema does
    level = LEVEL[package]
    wrong = [name for name in names if level[name] >= level[module]]
    side, dot, _ = module.partition(".")
    if dot and side in ("sqlite", "postgres"):
        common = (name for name in names if not name.startswith(f"{side}."))
        wrong += [name for name in common if name not in DATABASE_SIDE]
    return wrong


LAYERED = [(package, module) for package in LEVEL for module in modules_of(package)]


@pytest.mark.parametrize(("package", "module"), LAYERED)
def test_a_module_imports_only_lower_modules_of_its_package(package: str, module: str) -> None:
    path = modules_of(package)[module]
    assert upward(package, module, ast.parse(path.read_text())) == []


@pytest.mark.parametrize("package", LEVEL)
def test_every_module_has_a_level(package: str) -> None:
    names = {name for name in modules_of(package) if not name.startswith("migrations.versions.")}
    assert names == LEVEL[package].keys()


@pytest.mark.parametrize(
    ("package", "module", "line"),
    [
        ("store", "commit", "from sendroute.store.record import Store"),
        ("store", "tables", "from sendroute.store import states"),
        ("store", "history", "def late():\n    from sendroute.store.commit import commit"),
        ("store", "postgres.database", "from sendroute.store.sqlite.errors import translate"),
        ("store", "sqlite.database", "from sendroute.store.revisions import begin"),
        ("store", "migrations.versions.v0001_record", "from sendroute.store.tables import store"),
        ("cli", "commands.apply", "from sendroute.cli.commands.plan import options"),
        ("cli", "output", "def late():\n    from sendroute.cli.confirm import confirm"),
        ("edit", "rename_profile", "from sendroute.edit.delete_profile import delete_profile"),
    ],
    ids=[
        "the writer imports the store",
        "a module imports another of the same level",
        "the reader imports the writer in a function",
        "a database imports the other",
        "a database imports the rows",
        "a migration imports the current schema",
        "a command imports another",
        "the output imports the confirmation in a function",
        "an edit imports another",
    ],
)
def test_an_upward_import_within_a_package_is_detected(
    package: str, module: str, line: str
) -> None:
    assert upward(package, module, ast.parse(line))


# Modules that `--help` needs; they import everything else inside functions.
FOR_HELP = {"main", "session"}
# How many modules each late import loads, after the imports of its module and the earlier ones of
# its function.
MEASURE = """
import importlib, json, os, sys
importlib.import_module(sys.argv[1])
for function, names in json.loads(sys.argv[2]).items():
    if os.fork() == 0:
        for name in names:
            before = len(sys.modules)
            importlib.import_module(name)
            print(json.dumps([f"{function}: {name}", len(sys.modules) - before]), flush=True)
        os._exit(0)
    os.wait()
"""
SAVES = 10


def outermost_functions(node: ast.AST) -> Iterator[ast.FunctionDef]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef):
            yield child
        else:
            yield from outermost_functions(child)


def imported_modules(tree: ast.AST) -> Iterator[str]:
    """As :func:`imports`; ``from package import module`` is the module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            submodules = [name for name in names if is_ours(name)]
            yield from submodules or [node.module or ""]


def is_ours(name: str) -> bool:
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def late_imports(tree: ast.AST, prefix: str = "") -> dict[str, list[str]]:
    """The modules that each function imports, in their order."""
    named = {
        f"{function.lineno} {function.name}": [
            name for name in imported_modules(function) if name.startswith(prefix)
        ]
        for function in outermost_functions(tree)
    }
    return {function: names for function, names in named.items() if names}


def saved(module: str, late: dict[str, list[str]]) -> dict[str, int]:
    """How many modules each late import saves."""
    command = [sys.executable, "-c", MEASURE, module, json.dumps(late)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return dict(map(json.loads, done.stdout.splitlines()))


@pytest.mark.parametrize("module", sorted(modules_of("cli").keys() - FOR_HELP))
def test_a_late_import_of_a_command_saves_the_import_of_many_modules(module: str) -> None:
    """A command shows its help without a database driver; cheap imports are at the top."""
    late = late_imports(ast.parse(modules_of("cli")[module].read_text()), "sendroute.")
    counts = saved(f"sendroute.cli.{module}", late)
    assert {name: count for name, count in counts.items() if count < SAVES} == {}


def test_a_late_import_that_saves_nothing_after_an_earlier_one_is_detected() -> None:
    source = """
def first():
    import sendroute.store.record
    from sendroute.store import tables
def second():
    import sendroute.store.tables, enum
"""
    counts = saved("sendroute.model.finding", late_imports(ast.parse(source))).values()
    assert [count > SAVES for count in counts] == [True, False, True, False]


def imports_at_once(tree: ast.AST) -> Iterator[str]:
    """The modules that a module imports when it is imported itself."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef) or (
            isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        ):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imported_modules(node)
        else:
            yield from imports_at_once(node)


@cache
def sources() -> dict[str, ast.AST]:
    parts = {path: path.relative_to(PACKAGE.parent).with_suffix("").parts for path in modules()}
    return {
        ".".join(names).removesuffix(".__init__"): ast.parse(path.read_text())
        for path, names in parts.items()
    }


def loaded_with(tree: ast.AST) -> set[str]:
    """The modules that are loaded when this one is imported: of Sendroute all, of other projects
    those that Sendroute imports."""
    loaded: set[str] = set()
    names = list(imports_at_once(tree))
    while names:
        name = names.pop()
        if name not in loaded:
            loaded.add(name)
            names.append(name.rpartition(".")[0])
            names += imports_at_once(sources()[name]) if name in sources() else ()
    return loaded


def loaded_already(tree: ast.AST) -> list[str]:
    loaded = loaded_with(tree)
    return [
        f"{function}: {name}"
        for function, names in late_imports(tree).items()
        for name in names
        if name in loaded
    ]


@pytest.mark.parametrize("module", sorted(sources()))
def test_no_late_import_is_loaded_already(module: str) -> None:
    assert loaded_already(sources()[module]) == []


def test_a_late_import_that_is_loaded_already_is_detected() -> None:
    source = """
from sendroute.model.codes import finding
def late():
    from msgspec.structs import replace
    import sendroute.model.finding
    import yaml
"""
    assert loaded_already(ast.parse(source)) == [
        "3 late: msgspec.structs",
        "3 late: sendroute.model.finding",
    ]


def named_types(tree: ast.AST) -> Iterator[str]:
    """The classes of a module, and the names that it gives to other types."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Assign) and "TypeVar" not in ast.unparse(node.value):
            names = [name.id for name in node.targets if isinstance(name, ast.Name)]
            yield from (name for name in names if re.fullmatch("_?[A-Z]+[a-z]\\w*", name))


def test_a_name_of_a_type_means_one_thing() -> None:
    """Migrations never change, so what they name is left out."""
    named: dict[str, list[str]] = {}
    for module, tree in sources().items():
        for name in named_types(tree) if ".versions." not in module else ():
            named.setdefault(name, []).append(module)
    assert {name: where for name, where in named.items() if len(where) > 1} == {}


def test_a_name_that_two_modules_give_to_a_type_is_detected() -> None:
    source = "Names = tuple[str, ...]\nLIMIT = 3\nclass Held:\n    class _Part: ..."
    assert sorted(named_types(ast.parse(source))) == ["Held", "Names", "_Part"]
