"""A newcomer finds in the glossary what the classes of the core are named after."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("model", "planner", "reconcile")


def rows() -> list[tuple[str, str]]:
    """Each term with what its row says it is in the code."""
    text = (ROOT / "docs/glossary.md").read_text()
    cells = [line.split("|") for line in text.splitlines() if line.startswith("| ")]
    return [(row[1].strip(), row[-2]) for row in cells[1:]]


def public_classes() -> list[str]:
    paths = [
        path
        for package in PACKAGES
        for path in sorted((ROOT / "operator/sendroute" / package).rglob("*.py"))
    ]
    return [
        node.name
        for path in paths
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]


def is_explained(name: str, glossary: list[tuple[str, str]]) -> bool:
    """Whether a row names the class, or its name begins or ends with a term."""
    words = " ".join(re.findall("[A-Z][a-z0-9]*", name)).lower()
    for term, code in glossary:
        if re.search(rf"\b{name}\b", code) or re.search(rf"^{term}\b|\b{term}s?$", words):
            return True
    return False


@pytest.mark.parametrize("name", public_classes())
def test_a_class_of_the_core_is_explained_by_the_glossary(name: str) -> None:
    assert is_explained(name, rows())


def test_a_class_without_a_row_is_detected() -> None:
    glossary = [("plan", "`Plan`"), ("held back", "`StatusReason`")]
    assert [
        is_explained(name, glossary) for name in ("PlanStep", "StatusReason", "Quiet", "Planet")
    ] == [True, True, False, False]


def test_the_terms_are_sorted() -> None:
    terms = [term for term, _ in rows()]
    assert terms == sorted(terms)
