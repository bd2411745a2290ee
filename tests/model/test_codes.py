"""The table of codes: the only list of codes, complete, and readable by people."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import sendroute
from sendroute.model.codes import Actor, Code, Trait
from sendroute.model.finding import Severity

PACKAGE = Path(sendroute.__file__).parent
TABLE = PACKAGE / "model" / "codes.py"
CODES = {code.value for code in Code}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != TABLE)


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in MODULES:
        yield str(path.relative_to(PACKAGE)), ast.parse(path.read_text("utf-8"))


def collected(node: ast.AST) -> list[str]:
    """The codes that a literal collection, or a pattern of alternatives, holds."""
    match node:
        case ast.Set() | ast.Tuple() | ast.List():
            elements: list[ast.expr | None] = list(node.elts)
        case ast.Dict():
            elements = list(node.keys)
        case ast.MatchOr():
            elements = [each.value for each in node.patterns if isinstance(each, ast.MatchValue)]
        case _:
            return []
    texts = (each.value for each in elements if isinstance(each, ast.Constant))
    return [text for text in texts if text in CODES]


def test_no_other_module_holds_a_list_of_codes() -> None:
    lists = [
        f"{name}:{node.lineno}: {', '.join(codes)}"
        for name, tree in trees()
        for node in ast.walk(tree)
        if len(codes := collected(node)) > 1 or (codes and isinstance(node, ast.Set))
    ]
    assert not lists, "ask model/codes.py for a property of the code instead"


def takes_code(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """The functions and classes whose argument of that position is a code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            names = [each.arg for each in node.args.args if each.arg not in ("self", "cls")]
        elif isinstance(node, ast.ClassDef):
            fields = (each.target for each in node.body if isinstance(each, ast.AnnAssign))
            names = [each.id for each in fields if isinstance(each, ast.Name)]
        else:
            continue
        if "code" in names:
            yield node.name, names.index("code")


def unknown(tree: ast.Module, takers: set[tuple[str, int]]) -> Iterator[tuple[int, str]]:
    """The calls of ``takers`` with a text that is no code where they take one."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        name = node.func.id if isinstance(node.func, ast.Name) else name
        given = [each.value for each in node.keywords if each.arg == "code"]
        given += [node.args[at] for taker, at in takers if taker == name and at < len(node.args)]
        constants = [each.value for each in given if isinstance(each, ast.Constant)]
        texts = [each for each in constants if isinstance(each, str)]
        if texts and CODES.isdisjoint(texts):
            yield node.lineno, texts[0]


def test_every_code_that_is_used_exists() -> None:
    public = {
        taker
        for path in (*MODULES, TABLE)
        for taker in takes_code(ast.parse(path.read_text("utf-8")))
        if not taker[0].startswith("_")
    }
    assert ("finding", 0) in public
    wrong = [
        f"{name}:{line}: {code}"
        for name, tree in trees()
        for line, code in unknown(tree, public | set(takes_code(tree)))
    ]
    assert not wrong


def test_every_code_is_used() -> None:
    texts = {
        node.value
        for _, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert not sorted(CODES - texts)


@pytest.mark.parametrize("code", Code)
def test_every_code_is_explained_in_sentences(code: Code) -> None:
    assert code.name == code.value.replace("-", "_").upper()
    for text in (code.meaning, code.cause, code.fix):
        assert text[0].isupper(), text
        assert text.endswith("."), text


def test_what_follows_from_a_code_agrees_with_its_severity() -> None:
    for code in Code:
        if {Trait.GUARD, Trait.APPROVABLE} & set(code.traits):
            assert code.severity is Severity.REFUSED, code
            assert code.actor is Actor.OPERATOR, code
        if code.not_saved is not None:
            assert code.severity is Severity.ERROR, code
            assert Trait.TRANSIENT in code.traits, code
