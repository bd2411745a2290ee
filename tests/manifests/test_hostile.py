"""Hostile files give a finding in bounded time and do not affect other files."""

import gzip
import io
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sendroute.manifests.fast import MAX_FOREIGN_DEPTH
from sendroute.manifests.read import TreeReading
from sendroute.manifests.sources import FileSource

HEAD = (
    "apiVersion: sendroute.dev/v1alpha1\nkind: SendingDomain\n"
    "metadata: {name: a, namespace: acme}\n"
)
GOOD = HEAD + "spec:\n  account: acme\n  domain: a.example.com\n"
MEBIBYTE = 1 << 20
# Far above the time of each case on an idle machine (at most a second), and far below the time
# without its limit (a minute or endless).
SECONDS = 15.0


def alias_bomb() -> str:
    lines = [
        f"  a{number + 1}: &a{number + 1} [{', '.join([f'*a{number}'] * 9)}]"
        for number in range(30)
    ]
    return "\n".join([f"{HEAD}spec:", "  a0: &a0 [x, x]", *lines, ""])


HOSTILE: dict[str, tuple[Callable[[], str | bytes], str]] = {
    "an alias bomb": (alias_bomb, "yaml-unsupported"),
    "brackets without end": (lambda: "[" * 100_000, "yaml-unsupported"),
    "brackets within brackets": (
        lambda: f"{HEAD}spec: {'[' * 100_000}{']' * 100_000}\n",
        "yaml-unsupported",
    ),
    "brackets in a List, closed only in texts": (
        lambda: "apiVersion: v1\nkind: List\nitems: " + '["]", ' * 100_000,
        "yaml-unsupported",
    ),
    "brackets in a List, closed only in comments": (
        lambda: "apiVersion: v1\nkind: List\nitems: " + "[ #]\n " * 100_000,
        "yaml-unsupported",
    ),
    "braces within braces": (lambda: "{a: " * 100_000, "yaml-unsupported"),
    "deep JSON": (lambda: '{"a":' * 100_000 + "1" + "}" * 100_000, "yaml-unsupported"),
    "deep indentation": (
        lambda: HEAD + "spec:\n" + "\n".join(" " * number + "a:" for number in range(1, 5_000)),
        "yaml-unsupported",
    ),
    "lists within lists": (lambda: "- " * 100_000, "yaml-unsupported"),
    "a line of 32 MiB": (
        lambda: HEAD + "spec: " + "x" * (32 * MEBIBYTE - 200),
        "too-large",
    ),
    "a text of 10 MiB": (lambda: GOOD + "  note: " + "x" * (10 * MEBIBYTE), "too-large"),
    "a million keys": (
        lambda: GOOD + "".join(f"  k{number}: 1\n" for number in range(1_000_000)),
        "too-large",
    ),
    "a million keys before the document": (
        lambda: "".join(f"k{number}: 1\n" for number in range(1_000_000)) + GOOD,
        "too-large",
    ),
    "a number of a million digits": (lambda: GOOD + "  port: " + "9" * 1_000_000, "too-large"),
    "NULs": (lambda: "\0" * MEBIBYTE, "yaml-syntax"),
    "bytes of all kinds": (lambda: bytes(range(256)) * 10_000, "not-utf8"),
    "an ambiguous number of a million digits": (
        lambda: GOOD + "  port: " + "1_" * 500_000,
        "ambiguous-scalar",
    ),
    "carriage returns alone": (lambda: GOOD + "  x: " + "a\r" * 100_000, "yaml-syntax"),
    "something compressed": (lambda: gzip.compress(GOOD.encode()), "not-utf8"),
    "a file of 33 MiB": (lambda: "a" * (33 * MEBIBYTE), "too-large"),
    "thousands of anchors": (
        lambda: GOOD + "".join(f"  k{number}: &a 1\n" for number in range(20_000)),
        "yaml-unsupported",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_give_a_finding_in_time_and_other_files_are_read(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make, code = HOSTILE[case]
    content = make()
    Path("hostile.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    Path("neighbour.yaml").write_text(GOOD)
    reading = TreeReading(FileSource(["."]))
    began = time.process_time()
    documents = list(reading.documents())
    assert time.process_time() - began < SECONDS
    assert [where.file for _, where in documents] == ["neighbour.yaml"]
    assert code in {finding.code for finding in reading.findings}
    assert all(finding.message.isprintable() for finding in reading.findings)
    assert all(len(finding.message) < 300 for finding in reading.findings)


def nested(levels: int, form: str) -> str:
    """A document of another group with this many levels in total."""
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
    """With any versions of Python, ryaml and libyaml, which have different limits or none."""
    monkeypatch.chdir(tmp_path)
    Path("deep.yaml").write_text(nested(levels, form))
    Path("neighbour.yaml").write_text(GOOD)
    reading = TreeReading(FileSource(["."]))
    assert len(list(reading.documents())) == 1
    expected = set() if levels <= MAX_FOREIGN_DEPTH else {"yaml-unsupported"}
    assert {finding.code for finding in reading.findings} == expected


@pytest.mark.parametrize("item", ["a", "", "&a b", "[]"])
def test_a_list_of_what_is_no_object_has_few_findings(
    item: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A MiB of them had a finding for each, which took 300 MiB of memory."""
    monkeypatch.chdir(tmp_path)
    items = f"- {item}\n" * 10_000
    Path("a.yaml").write_text(f"apiVersion: v1\nkind: List\nitems:\n{items}")
    Path("neighbour.yaml").write_text(GOOD)
    reading = TreeReading(FileSource(["."]))
    assert len(list(reading.documents())) == 1
    assert 0 < len(reading.findings) <= 101  # and how many more there are
    assert reading.unread


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "unreadable"),
        ("\n", "unreadable"),
        (" " * MEBIBYTE, "unreadable"),
        ("\ufeff", "unreadable"),
        ("\ufeff \r\n", "unreadable"),
        ("#\n" * 100_000, "no-manifests"),
        ("---\n" * 100_000, "no-manifests"),
    ],
)
def test_files_without_a_document_are_accepted_unless_they_are_empty_or_all_that_is_there(
    content: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text(content)
    reading = TreeReading(FileSource(["."]))
    assert list(reading.documents()) == []
    assert [finding.code for finding in reading.findings] == [code]
    assert (bool(reading.unread), reading.foreign) == (True, 0)


@pytest.mark.parametrize("marked", ["\ufeff---\n{0}", "---\n\ufeff{0}", "---\n{0}\ufeff---\n{0}"])
def test_joined_files_that_keep_a_byte_order_mark_name_it(
    marked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    joined = f"\ufeff{GOOD}" + marked.format(GOOD)
    Path("a.yaml").write_text(joined)
    reading = TreeReading(FileSource(["."]))
    list(reading.documents())
    line = joined[: joined.rindex("\ufeff")].count("\n") + 1
    assert [(str(at.position), at.code) for at in reading.findings] == [
        (f"a.yaml:{line}:1", "yaml-syntax")
    ]
    assert "byte-order mark" in reading.findings[0].message
    assert reading.unread


def test_an_invalid_document_at_the_end_of_a_long_file_is_reported_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text(f"{GOOD}---\n" * 20_000 + GOOD.replace("domain:", "domian:"))
    reading = TreeReading(FileSource(["."]))
    assert sum(1 for _ in reading.documents()) == 20_000
    assert {(str(finding.position), finding.code) for finding in reading.findings} == {
        ("a.yaml:140005:3", "missing-field"),
        ("a.yaml:140006:3", "unknown-field"),
    }


@pytest.mark.parametrize(("path", "begin"), [("-", "Check the program"), ("a.yaml", "Restore it.")])
def test_the_hint_of_nothing_names_the_author(
    path: str, begin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").touch()
    reading = TreeReading(FileSource([path], io.BytesIO()))
    assert list(reading.documents()) == []
    (finding,) = reading.findings
    assert (finding.hint or "").startswith(begin)
