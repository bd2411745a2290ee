"""Whatever is written to hurt ends in a finding, soon, and hurts nobody else."""

import gzip
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sendroute.manifests.fast import MAX_FOREIGN_DEPTH
from sendroute.manifests.read import Reading
from sendroute.manifests.sources import Files

HEAD = (
    "apiVersion: sendroute.dev/v1alpha1\nkind: SendingDomain\n"
    "metadata: {name: a, namespace: acme}\n"
)
GOOD = HEAD + "spec:\n  account: acme\n  domain: a.example.com\n"
MEBIBYTE = 1 << 20
# Far above what each takes on an idle machine (at most a second), far below what it would without
# its bound (a minute, or no end).
SECONDS = 15.0


def alias_bomb() -> str:
    lines = [f"  a{each + 1}: &a{each + 1} [{', '.join([f'*a{each}'] * 9)}]" for each in range(30)]
    return "\n".join([f"{HEAD}spec:", "  a0: &a0 [x, x]", *lines, ""])


HOSTILE: dict[str, tuple[Callable[[], str | bytes], str]] = {
    "an alias bomb": (alias_bomb, "yaml-unsupported"),
    "brackets without end": (lambda: "[" * 100_000, "yaml-unsupported"),
    "brackets within brackets": (
        lambda: f"{HEAD}spec: {'[' * 100_000}{']' * 100_000}\n",
        "yaml-unsupported",
    ),
    "brackets within a List, closed in texts only": (
        lambda: "apiVersion: v1\nkind: List\nitems: " + '["]", ' * 100_000,
        "yaml-unsupported",
    ),
    "brackets within a List, closed in comments only": (
        lambda: "apiVersion: v1\nkind: List\nitems: " + "[ #]\n " * 100_000,
        "yaml-unsupported",
    ),
    "braces within braces": (lambda: "{a: " * 100_000, "yaml-unsupported"),
    "deep JSON": (lambda: '{"a":' * 100_000 + "1" + "}" * 100_000, "yaml-unsupported"),
    "deep indentation": (
        lambda: HEAD + "spec:\n" + "\n".join(" " * each + "a:" for each in range(1, 5_000)),
        "yaml-unsupported",
    ),
    "lists within lists": (lambda: "- " * 100_000, "yaml-unsupported"),
    "a line of 32 MiB": (
        lambda: HEAD + "spec: " + "x" * (32 * MEBIBYTE - 200),
        "too-large",
    ),
    "a text of 10 MiB": (lambda: GOOD + "  note: " + "x" * (10 * MEBIBYTE), "too-large"),
    "a million keys": (
        lambda: GOOD + "".join(f"  k{each}: 1\n" for each in range(1_000_000)),
        "too-large",
    ),
    "a million keys first": (
        lambda: "".join(f"k{each}: 1\n" for each in range(1_000_000)) + GOOD,
        "too-large",
    ),
    "a number of a million digits": (lambda: GOOD + "  port: " + "9" * 1_000_000, "too-large"),
    "NULs": (lambda: "\0" * MEBIBYTE, "yaml-syntax"),
    "bytes of all kinds": (lambda: bytes(range(256)) * 10_000, "not-utf8"),
    "something compressed": (lambda: gzip.compress(GOOD.encode()), "not-utf8"),
    "a file of 33 MiB": (lambda: "a" * (33 * MEBIBYTE), "too-large"),
    "thousands of anchors": (
        lambda: GOOD + "".join(f"  k{each}: &a 1\n" for each in range(20_000)),
        "yaml-unsupported",
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_files_end_in_a_finding_soon_and_leave_their_neighbours(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make, code = HOSTILE[what]
    content = make()
    Path("hostile.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    Path("neighbour.yaml").write_text(GOOD)
    reading = Reading(Files(["."]))
    began = time.monotonic()
    documents = list(reading.documents())
    assert time.monotonic() - began < SECONDS
    assert [where.file for _, where in documents] == ["neighbour.yaml"]
    assert code in {found.code for found in reading.findings}
    assert all(found.message.isprintable() for found in reading.findings)
    assert all(len(found.message) < 300 for found in reading.findings)


def nested(levels: int, form: str) -> str:
    """A document of another group, nested so deep in all."""
    if form == "block":
        return "".join(f"{' ' * level}a:\n" for level in range(levels))
    if form == "json":
        return (
            f'{{"kind": "Pod", "apiVersion": "v1", "a": {"[" * (levels - 1)}{"]" * (levels - 1)}}}'
        )
    return f"kind: Pod\na: {'[' * (levels - 1)}{']' * (levels - 1)}\n"


@pytest.mark.parametrize("form", ["block", "flow", "json"])
@pytest.mark.parametrize("levels", [MAX_FOREIGN_DEPTH, MAX_FOREIGN_DEPTH + 1, 3_000])
def test_every_parser_has_the_same_limit_of_nesting(
    levels: int, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the versions of Python, ryaml and libyaml, each with a limit of its own or none."""
    monkeypatch.chdir(tmp_path)
    Path("deep.yaml").write_text(nested(levels, form))
    Path("neighbour.yaml").write_text(GOOD)
    reading = Reading(Files(["."]))
    assert len(list(reading.documents())) == 1
    expected = set() if levels <= MAX_FOREIGN_DEPTH else {"yaml-unsupported"}
    assert {found.code for found in reading.findings} == expected


@pytest.mark.parametrize(
    "content", ["", "\n", "#\n" * 100_000, " " * MEBIBYTE, "---\n" * 100_000, "\ufeff"]
)
def test_files_that_say_nothing_are_fine_but_for_a_tree_of_nothing_else(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text(content)
    reading = Reading(Files(["."]))
    assert list(reading.documents()) == []
    assert [found.code for found in reading.findings] == ["no-manifests"]
    assert (reading.complete, reading.foreign) == (False, 0)


def test_one_bad_document_at_the_end_of_a_long_file_is_reported_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text(f"{GOOD}---\n" * 20_000 + GOOD.replace("domain:", "domian:"))
    reading = Reading(Files(["."]))
    assert sum(1 for _ in reading.documents()) == 20_000
    assert {(str(each.position), each.code) for each in reading.findings} == {
        ("a.yaml:140005:3", "missing-field"),
        ("a.yaml:140006:3", "unknown-field"),
    }
