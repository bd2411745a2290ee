"""A file that the user gives is a regular file: a FIFO is refused at once, not waited for."""

import os
from pathlib import Path

import pytest

from .conftest import Program


@pytest.mark.parametrize(
    ("command", "subject"),
    [
        (("--key-file", "fifo", "apply", "manifests", "--auto-approve"), "The key file fifo"),
        (("validate", "manifests", "--policy", "fifo"), "The policy fifo"),
        (("init", "--from-lock", "fifo", "--store", "sqlite:///new.db"), "The lock file fifo"),
    ],
)
def test_a_fifo_is_refused_with_its_reason(
    sendroute: Program, manifests: Path, command: tuple[str, ...], subject: str
) -> None:
    assert manifests.exists()
    sendroute("init")
    os.mkfifo("fifo")
    result = sendroute(*command)
    text = " ".join((result.out + result.err).split())
    assert (result.status, f"{subject} cannot be read: it is not a regular file" in text) == (
        1,
        True,
    ), text


@pytest.mark.parametrize("name", ["[", "[a-c]*.example", "{a,b}.example"])
def test_a_pattern_with_brackets_says_what_a_pattern_has(
    sendroute: Program, manifests: Path, name: str
) -> None:
    assert manifests.exists()
    sendroute("init")
    result = sendroute("routes", name)
    assert (result.status, "brackets have no meaning" in result.out + result.err) == (1, True)
