"""What one package calls of another says what it takes and what it returns, read from the sources.

A function is called by another package if that package imports it, or its module; a method if
another package imports its class and calls a method of that name.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parents[1] / "operator/sendroute"
SAYS_WHAT_IT_RETURNS = re.compile("(Return|Yield|Whether)s? ")
REFERS_TO_ANOTHER = re.compile("(See|As) :(func|meth):")
NOTHING = {"None", "NoReturn", "Iterator[None]", "Generator[None]", "Self"}


class Function(NamedTuple):
    """A function or method, by the name under which a failed test shows it."""

    name: str
    node: ast.FunctionDef
    is_method: bool

    @property
    def doc(self) -> str:
        return ast.get_docstring(self.node) or ""

    @property
    def arguments(self) -> list[str]:
        """The names of the arguments, without ``self``, and without those that nothing uses."""
        given = self.node.args
        named = [*given.posonlyargs, *given.args, *given.kwonlyargs]
        if self.is_method and not self.has_decorator("staticmethod"):
            named = named[1:]
        named += [item for item in (given.vararg, given.kwarg) if item is not None]
        return [item.arg for item in named if not item.arg.startswith("_")]

    def has_decorator(self, name: str) -> bool:
        return any(name in ast.unparse(item) for item in self.node.decorator_list)

    def faults(self) -> list[str]:
        """What the docstring leaves out."""
        if REFERS_TO_ANOTHER.match(self.doc):
            return []
        faults = []
        if self.arguments and "Args:" not in self.doc and not self._names_its_argument():
            faults.append("no Args:")
        if self._returns_something() and not re.search("(Returns|Yields):", self.doc):
            faults.append("no Returns:")
        return faults

    def _names_its_argument(self) -> bool:
        """A first paragraph may explain a single argument if it uses its name."""
        if len(self.arguments) != 1:
            return False
        paragraph = re.sub(r"\s+", " ", self.doc.partition("\n\n")[0].lower())
        words = self.arguments[0].strip("_").split("_")
        return all(re.search(rf"\b{word.removesuffix('s')}", paragraph) for word in words)

    def _returns_something(self) -> bool:
        if self.node.returns is None or self.has_decorator("property"):
            return False
        nothing = ast.unparse(self.node.returns) in NOTHING
        return not nothing and SAYS_WHAT_IT_RETURNS.match(self.doc) is None


@cache
def sources() -> dict[str, ast.Module]:
    named = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        named[name.removesuffix(".__init__")] = ast.parse(path.read_text())
    return named


def package_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def names_from(tree: ast.Module, known: frozenset[str]) -> Iterator[tuple[str, str]]:
    """What a module takes from which module of ours: by an import, or by the imported module."""
    modules = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield node.module, alias.name
                if f"{node.module}.{alias.name}" in known:
                    modules[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = modules.get(node.value.id)
            if module is not None:
                yield module, node.attr


def methods_called(tree: ast.Module) -> set[str]:
    return {
        node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }


def protocol_methods() -> set[str]:
    """The methods whose arguments a protocol explains, for the classes that have no docstring."""
    return {
        function.name
        for tree in sources().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and any("Protocol" in ast.unparse(b) for b in node.bases)
        for function in node.body
        if isinstance(function, ast.FunctionDef) and ast.get_docstring(function)
    }


def called_by_others() -> Iterator[Function]:
    users: dict[tuple[str, str], set[str]] = defaultdict(set)
    callers: dict[str, set[str]] = defaultdict(set)
    known = frozenset(sources())
    for module, tree in sources().items():
        for key in names_from(tree, known):
            users[key].add(package_of(module))
        for name in methods_called(tree):
            callers[name].add(package_of(module))
    explained = protocol_methods()
    for module, tree in sources().items():
        for node in tree.body:
            if not users[module, getattr(node, "name", "")] - {package_of(module)}:
                continue
            if isinstance(node, ast.FunctionDef):
                yield Function(f"{module}.{node.name}", node, is_method=False)
            elif isinstance(node, ast.ClassDef):
                for method in node.body:
                    if (
                        isinstance(method, ast.FunctionDef)
                        and not method.name.startswith("_")
                        and callers[method.name] - {package_of(module)}
                        and (ast.get_docstring(method) or method.name not in explained)
                    ):
                        name = f"{module}.{node.name}.{method.name}"
                        yield Function(name, method, is_method=True)


@pytest.mark.parametrize("function", list(called_by_others()), ids=lambda function: function.name)
def test_a_function_that_another_package_calls_says_what_it_takes_and_returns(
    function: Function,
) -> None:
    assert function.faults() == []


def function(source: str) -> Function:
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.FunctionDef)
    return Function(node.name, node, is_method=False)


@pytest.mark.parametrize(
    ("head", "doc", "faults"),
    [
        ("read(path)", "Read a file.", ["no Args:"]),
        ("read(path)", "Read the file of this path.", []),
        ("read(path, size)", "Read the file of this path, up to this size.", ["no Args:"]),
        ("size(path) -> int", "The size of the path.", ["no Returns:"]),
        ("size(path) -> int", "Return the size of the path.", []),
        ("size(path) -> int", "Measure.\\n\\nArgs:\\n    path: it.\\n\\nReturns:\\n    It.", []),
        ("size() -> int", "See :func:`other`.", []),
        ("size() -> int", "", ["no Returns:"]),
        ("stop() -> None", "Stop.", []),
    ],
)
def test_a_docstring_that_leaves_something_out_is_detected(
    head: str, doc: str, faults: list[str]
) -> None:
    assert function(f'def {head}:\n    """{doc}"""').faults() == faults
