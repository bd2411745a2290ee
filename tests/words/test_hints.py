"""A hint is a whole sentence. The terminal removes the full stop where a command follows."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "operator/sendroute"
SENTENCE_ENDS = (".", "?", "…")
URL = "https://"
RENDERS = "reports"


def endings(value: ast.expr) -> Iterator[str]:
    """The last literal part of every text that an expression may be. A text that ends with a value
    has none."""
    match value:
        case ast.Constant(str(text)) if text:
            yield text
        case ast.JoinedStr(values=[*_, ast.Constant(str(text))]):
            yield text
        case ast.IfExp(body=first, orelse=second):
            yield from endings(first)
            yield from endings(second)
        case ast.BoolOp(values=values):
            for item in values:
                yield from endings(item)
        case ast.BinOp(op=ast.Add(), right=right):
            yield from endings(right)


def hints(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the ending of each hint: an argument or a variable of that name, with its
    default, and what a function of that name returns."""
    for node in ast.walk(tree):
        match node:
            case ast.keyword(arg="hint", value=value):
                texts = [value]
            case ast.Assign(targets=[ast.Name("hint")], value=value):
                texts = [value]
            case ast.AugAssign(target=ast.Name("hint"), value=value):
                texts = [value]
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                texts = [
                    value
                    for name, value in zip(names, values, strict=True)
                    if isinstance(name, ast.Name) and name.id == "hint"
                ]
            case ast.FunctionDef(name=name) if name.strip("_").split("_")[-1] == "hint":
                texts = [
                    child.value
                    for child in ast.walk(node)
                    if isinstance(child, ast.Return) and child.value is not None
                ]
            case ast.FunctionDef(args=arguments):
                named = [*arguments.posonlyargs, *arguments.args]
                defaults = zip(reversed(named), reversed(arguments.defaults), strict=False)
                texts = [value for name, value in defaults if name.arg == "hint"]
            case _:
                continue
        for text in texts:
            for ending in endings(text):
                yield text.lineno, ending


def unfinished(source: str) -> list[str]:
    return [
        f"{line}: {ending}"
        for line, ending in hints(ast.parse(source))
        if not ending.endswith(SENTENCE_ENDS) and URL not in ending.split(" ")[-1]
    ]


def test_every_hint_ends_as_a_sentence() -> None:
    sources = [path for path in PACKAGE.rglob("*.py") if path.parent.name != RENDERS]
    assert sum(len(list(hints(ast.parse(path.read_text())))) for path in sources) > 200
    assert {
        str(path.relative_to(PACKAGE)): faults
        for path in sources
        if (faults := unfinished(path.read_text()))
    } == {}


@pytest.mark.parametrize(
    "source",
    [
        'finding("code", "message", hint="Give the key")',
        'finding("code", "message", hint=f"Give {key} again")',
        'finding("code", "message", hint="Give it." if key else "Give the key")',
        'hint = "Give the key"',
        'hint += " or the secret"',
        'reason, hint = "No key.", "Give the key"',
        'def _hint() -> str:\n    return "Give the key"',
        'def warn(hint: str = "Give the key") -> None: ...',
    ],
)
def test_a_hint_without_an_end_is_detected(source: str) -> None:
    assert len(unfinished(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        'finding("code", "message", hint="Give the key.")',
        'finding("code", "message", hint=f"Review it: {command}")',
        'finding("code", "message", hint="Read https://docs.example/keys")',
        'finding("code", "message", hint=hint or "Is it the key?")',
    ],
)
def test_a_whole_sentence_a_url_and_a_command_are_accepted(source: str) -> None:
    assert unfinished(source) == []
