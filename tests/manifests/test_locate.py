"""Positions are located on demand, exactly, and safely if a file has changed."""

from pathlib import Path

import pytest

from sendroute.manifests.locate import positions, with_positions
from sendroute.manifests.read import TreeReading
from sendroute.manifests.sources import FileSource
from sendroute.manifests.tree import raw_documents
from sendroute.model.codes import finding
from sendroute.model.finding import Finding, Position, Where

DOCUMENT = """\
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {name: a}
spec:
  account: acme
  route: {profile: ses}
"""


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def at(text: str, document: int, *path: str | int, of_key: bool = False) -> tuple[int, int]:
    Path("a.yaml").write_bytes(text.encode())
    where = Where("a.yaml", document, path, of_key)
    position = positions(FileSource(["."]), [where])[where]
    return position.line, position.column


@pytest.mark.parametrize(
    ("text", "document", "line"),
    [
        (DOCUMENT, 0, 1),
        ("# comment\n\n" + DOCUMENT, 0, 3),
        (f"{DOCUMENT}---\n# comment\n\n{DOCUMENT}", 1, 10),
        (f"---\n{DOCUMENT}--- \n{DOCUMENT}", 1, 9),
        (f"---\n---\n# none\n---\n{DOCUMENT}---\nnull\n---\n{DOCUMENT}", 1, 14),
        (f"{DOCUMENT}---\nname: List\n---\n{DOCUMENT}", 2, 10),
        (f"{DOCUMENT}...\n---\n{DOCUMENT}", 1, 9),
        (f"%YAML 1.2\n---\n{DOCUMENT}---\n{DOCUMENT}", 1, 10),
        (f"{DOCUMENT}---\n{DOCUMENT}".replace("\n", "\r\n"), 1, 8),
        (f"\ufeff{DOCUMENT}---\n{DOCUMENT}", 1, 8),
        ("apiVersion: v1\nkind: List\nitems:\n- {a: 1}\n- null\n- {b: 1}\n", 2, 6),
        (f"items:\n- a: 1\n- b: 1\nkind: List\napiVersion: v1\n---\n{DOCUMENT}", 2, 7),
        (f'kind: "x\n  kind: y"\n---\n{DOCUMENT}', 1, 4),
    ],
)
def test_the_line_of_a_document_is_the_line_of_its_first_key(
    text: str, document: int, line: int
) -> None:
    assert at(text, document)[0] == line


def test_values_and_keys_are_located_by_their_path() -> None:
    text = f"{DOCUMENT}---\n{DOCUMENT}"
    assert at(text, 1, "spec", "route", "profile") == (13, 20)
    assert at(text, 1, "spec", "route", of_key=True) == (13, 3)
    assert at(text, 0, "metadata", "name") == (3, 18)


def test_a_missing_value_is_located_at_its_parent() -> None:
    assert at(DOCUMENT, 0, "spec", "domain") == (5, 3)
    assert at(DOCUMENT, 0, "spec", "route", "profile", "x") == (6, 20)


def test_columns_count_characters_also_after_escaped_pairs() -> None:
    assert at('{"a": "\\ud83d\\ude00\\ud83d\\ude00", "b": "é", "c": 1}', 0, "c") == (1, 50)
    assert at("{a: '😀é', b: 1}", 0, "b") == (1, 14)


def test_a_changed_or_removed_file_gives_line_one() -> None:
    assert at("a: [", 0, "a") == (1, 1)
    assert at("", 3) == (1, 1)
    where = Where("gone.yaml", 2, ("spec",))
    assert positions(FileSource(["."]), [where]) == {where: Position("gone.yaml", 1, 1)}


def test_findings_are_sorted_and_unique() -> None:
    Path("a.yaml").write_text(DOCUMENT)
    Path("b.yaml").write_text(DOCUMENT)

    def finding_at(file: str, *path: str) -> Finding:
        first = Where("a.yaml", 0, ("kind",))
        return finding("invalid-value", "No.", where=Where(file, 0, path), related=(first,))

    nowhere = finding("no-platform", "None.")
    located = with_positions(
        FileSource(["."]),
        [
            finding_at("b.yaml"),
            finding_at("a.yaml", "spec"),
            finding_at("a.yaml"),
            finding_at("b.yaml"),
            nowhere,
        ],
    )
    shown = [str(finding.position) for finding in located]
    assert shown == ["None", "a.yaml:1:1", "a.yaml:5:3", "b.yaml:1:1"]
    assert located[1].related == (Position("a.yaml", 2, 7),)


DOMAIN = f"{DOCUMENT}  domain: a.example.com\n"
HEALTHY = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
BROKEN = {
    "our document": "apiVersion: sendroute.dev/v1alpha1\nkind: MailAccount\nspec: {\n",
    "another program's document": 'kind: ConfigMap\ndata: "open\n',
    "a document without a kind": "a: [1, 2\n",
    "a List": "apiVersion: v1\nkind: List\nitems:\n- kind: [\n",
    "a List whose first items are read": "kind: List\napiVersion: v1\nitems: [{a: 1}, {\n",
    "a control character": "kind: X\ndata: \x01\n",
    "merge marks": "<<<<<<< HEAD\nkind: X\n=======\nkind: Y\n>>>>>>> theirs\n",
    "merge marks around a value": "kind: X\n<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> theirs\n",
    "a byte-order mark inside": "\ufeffkind: X\n",
    "only a comment": "# kind: X\n",
    "nothing": "",
    "text": "kind: X is no mapping: here\n",
}


@pytest.mark.parametrize("before", ["", HEALTHY, f"{DOMAIN}---\n{HEALTHY}"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("broken", BROKEN)
def test_documents_behind_one_with_wrong_syntax_have_their_own_positions(
    broken: str, mark: str, before: str
) -> None:
    """Those that reading numbers are those that are located, and those that a policy checks."""
    parts = [part for part in (before, BROKEN[broken], DOMAIN, HEALTHY, DOMAIN) if part]
    text = "---\n".join(parts)
    Path("a.yaml").write_bytes((mark + text).encode())
    tree = FileSource(["."])
    reading = TreeReading(tree)
    read = [where for _, where in reading.documents()]
    expected = [
        number for number, line in enumerate(text.splitlines(), 1) if "SendingDomain" in line
    ]
    position_of = positions(tree, [where.at("kind") for where in read])
    assert [position_of[where.at("kind")].line for where in read] == expected
    ours = [where for where, value in raw_documents(tree, []) if value["kind"] == "SendingDomain"]
    assert ours == read
