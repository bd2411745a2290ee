"""The table of codes: the only list of codes, complete, and readable by people."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import sendroute
from sendroute.model.codes import Code, Responsible, Trait
from sendroute.model.finding import Severity

PACKAGE = Path(sendroute.__file__).parent
TABLE = PACKAGE / "model" / "codes.py"
CODES = {code.value for code in Code}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != TABLE)


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in MODULES:
        yield str(path.relative_to(PACKAGE)), ast.parse(path.read_text("utf-8"))


def collected(node: ast.AST) -> list[str]:
    """The codes in a literal collection, a pattern of alternatives or comparisons joined by
    ``or``; and the codes of which a call tests the beginning or the end."""
    match node:
        case ast.Set() | ast.Tuple() | ast.List():
            elements: list[ast.expr | None] = list(node.elts)
        case ast.Dict():
            elements = list(node.keys)
        case ast.MatchOr():
            elements = [p.value for p in node.patterns if isinstance(p, ast.MatchValue)]
        case ast.BoolOp():
            compared = [value for value in node.values if isinstance(value, ast.Compare)]
            elements = [part for value in compared for part in (value.left, *value.comparators)]
        case ast.Call(ast.Attribute(_, ("startswith" | "endswith") as test), [ast.Constant(text)]):
            # Not a short part such as "-", which any text may have.
            part = text if isinstance(text, str) and len(text) > 3 else None
            return [code for code in CODES if part and getattr(code, test)(part)]
        case _:
            return []
    return [code for element in elements if (code := _code(element)) is not None]


def _code(node: ast.expr | None) -> str | None:
    match node:
        case ast.Constant(str(text)) if text in CODES:
            return text
        case ast.Attribute(ast.Name("Code"), name) if name in Code.__members__:
            return Code[name].value
        case _:
            return None


def lists_of_codes(name: str, tree: ast.Module) -> list[str]:
    return [
        f"{name}:{node.lineno}: {', '.join(codes)}"
        for node in ast.walk(tree)
        if len(codes := collected(node)) > 1 or (codes and isinstance(node, ast.Set))
    ]


def test_no_other_module_has_a_list_of_codes() -> None:
    lists = [line for name, tree in trees() for line in lists_of_codes(name, tree)]
    assert not lists, "use a property of the code in model/codes.py instead"


@pytest.mark.parametrize(
    "source",
    [
        "finding.code in ('unknown-plan', 'unknown-account')",
        "intended = (Code.APPLY_ALL_WINS, Code.NO_MANIFESTS)",
        "finding.code in {Code.UNKNOWN_PLAN}",
        "finding.code == Code.UNKNOWN_PLAN or finding.code == 'unknown-account'",
        "finding.code.startswith('unknown-')",
        "finding.code.endswith('-profile')",
        "match code:\n    case Code.UNKNOWN_PLAN | Code.UNKNOWN_ACCOUNT:\n        pass",
    ],
)
def test_a_list_or_a_prefix_of_codes_is_detected(source: str) -> None:
    assert lists_of_codes("module", ast.parse(source))


def takes_code(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """The functions and classes with a ``code`` argument, and the position of that argument."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            names = [a.arg for a in node.args.args if a.arg not in ("self", "cls")]
        elif isinstance(node, ast.ClassDef):
            fields = (field.target for field in node.body if isinstance(field, ast.AnnAssign))
            names = [target.id for target in fields if isinstance(target, ast.Name)]
        else:
            continue
        if "code" in names:
            yield node.name, names.index("code")


def unknown(tree: ast.Module, takers: set[tuple[str, int]]) -> Iterator[tuple[int, str]]:
    """The calls of ``takers`` whose ``code`` argument is a text that is not a code."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        name = node.func.id if isinstance(node.func, ast.Name) else name
        given = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
        given += [node.args[at] for taker, at in takers if taker == name and at < len(node.args)]
        constants = [value.value for value in given if isinstance(value, ast.Constant)]
        texts = [constant for constant in constants if isinstance(constant, str)]
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


def test_the_traits_of_a_code_match_its_severity() -> None:
    for code in Code:
        if {Trait.GUARD, Trait.APPROVABLE} & set(code.traits):
            assert code.severity is Severity.REFUSED, code
            assert code.responsible is Responsible.OPERATOR, code
        if code.not_saved is not None:
            assert code.severity is Severity.ERROR, code
            assert Trait.TRANSIENT in code.traits, code
