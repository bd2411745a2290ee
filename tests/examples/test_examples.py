"""Every page of examples/, and the README: what it tells to run is run, what it shows is true."""

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


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_prints_what_it_says(page: Path, walk: Callable[[Path], None]) -> None:
    walk(page)


def test_no_expected_output_is_left_that_no_page_links_to() -> None:
    kept = sorted((ROOT / "examples").glob("*/expected/*"))
    orphans = [
        path for path in kept if f"](expected/{path.name})" not in _page_of(path).read_text()
    ]
    assert kept
    assert orphans == []


def _page_of(expected: Path) -> Path:
    return expected.parents[1] / "README.md"


@pytest.mark.parametrize("path", MANIFESTS, ids=name_of)
def test_a_manifest_says_which_schema_it_follows_and_follows_it(path: Path) -> None:
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
    """Nobody's real domain is sent from, however the example is tried out."""
    domain = document["spec"].get("domain")
    assert domain is None or domain.endswith(RESERVED)
