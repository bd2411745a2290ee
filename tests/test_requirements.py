"""The locked versions match the ranges in pyproject.toml, and every range has two bounds."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = ("locked.txt", "oldest.txt")


def required() -> Iterator[Requirement]:
    project = PROJECT["project"]
    for text in (*project["dependencies"], *project["optional-dependencies"]["dev"]):
        yield Requirement(text)


def versions(name: str) -> dict[str, Version]:
    text = (ROOT / "tests" / "requirements" / name).read_text()
    pins = re.findall(r"^([\w.-]+)(?:\[\w,]+)?==(\S+)", text, re.MULTILINE)
    return {canonicalize_name(package): Version(version) for package, version in pins}


@pytest.mark.parametrize("requirement", list(required()), ids=lambda requirement: requirement.name)
def test_a_range_has_a_lower_and_an_upper_bound(requirement: Requirement) -> None:
    operators = {specifier.operator for specifier in requirement.specifier}
    assert operators == {">=", "<"}


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_is_locked_within_its_range(name: str) -> None:
    locked = versions(name)
    outside = [
        str(requirement)
        for requirement in required()
        if locked.get(canonicalize_name(requirement.name)) not in requirement.specifier
    ]
    assert outside == [], "run `make lock`"


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_hashes_and_no_index(name: str) -> None:
    text = (ROOT / "tests" / "requirements" / name).read_text()
    assert "://" not in text
    assert "index" not in text
    entries = re.split(r"\n(?=\S)", text.strip())
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_images_hold_what_the_tests_ran_with() -> None:
    runtime = set(_entries("runtime.txt"))
    assert runtime <= set(_entries("locked.txt")), "run `make lock`"
    missing = {
        canonicalize_name(Requirement(text).name) for text in PROJECT["project"]["dependencies"]
    } - versions("runtime.txt").keys()
    assert missing == set()
    assert "pytest" not in versions("runtime.txt")


def _entries(name: str) -> list[str]:
    return re.split(r"\n(?=\S)", (ROOT / "tests" / "requirements" / name).read_text().strip())
