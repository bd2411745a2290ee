"""Every page of examples/ and the README: its commands are run, and their output is compared."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "examples").glob("*/README.md"))]
MANIFESTS = sorted((ROOT / "examples").glob("*/manifests/**/*.yaml"))
MODELINE = re.compile(r"\A# yaml-language-server: \$schema=(\S+)\n")
RESERVED = (".example", "example.com", "example.org", "example.net")  # RFC 2606, sections 2 and 3


def relative_path(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=relative_path)
def test_the_steps_of_a_page_print_the_expected_output(
    page: Path, run_page: Callable[[Path], None]
) -> None:
    run_page(page)


def test_every_expected_output_is_linked_from_its_page() -> None:
    files = sorted((ROOT / "examples").glob("*/expected/*"))
    orphans = [
        path for path in files if f"](expected/{path.name})" not in _page_of(path).read_text()
    ]
    assert files
    assert orphans == []


def _page_of(expected: Path) -> Path:
    return expected.parents[1] / "README.md"


@pytest.mark.parametrize("path", MANIFESTS, ids=relative_path)
def test_a_manifest_refers_to_its_schema_and_is_valid(path: Path) -> None:
    import jsonschema
    import yaml

    text = path.read_text()
    modeline = MODELINE.match(text)
    assert modeline
    schema = path.parent / modeline[1]
    assert os.path.normpath(schema) == str(ROOT / "schemas" / "draft-07" / "any.json")
    validator = jsonschema.Draft7Validator(json.loads(schema.read_text()))
    for document in yaml.safe_load_all(text):
        validator.validate(document)
        _assert_reserved(document)


def _assert_reserved(document: dict[str, Any]) -> None:
    """No example sends from the domain of a real owner."""
    domain = document["spec"].get("domain")
    assert domain is None or domain.endswith(RESERVED)
