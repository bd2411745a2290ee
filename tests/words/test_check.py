"""The checker of words finds what a reader would have to decode, and only that."""

from pathlib import Path

import pytest
from tests.words.check import EXCLUDED, check, load, tracked

RULES = load()


def words(path: str, text: str) -> list[str]:
    return [hit.word for hit in check(path, text, RULES)]


@pytest.mark.parametrize(
    "name",
    [
        "each",
        "found",
        "one",
        "own",
        "it",
        "said",
        "stands",
        "told",
        "_found",
        "_them",
        "this",
        "why",
    ],
)
@pytest.mark.parametrize("path", ["operator/sendroute/x.py", "tests/cli/x.py", "examples/x.py"])
def test_a_name_that_does_not_say_what_the_value_is_is_refused(name: str, path: str) -> None:
    assert name in words(path, f"for {name} in ():\n    pass\n")
    assert name in words(path, f"state.{name} = 1\n")


def test_the_name_of_a_parameter_and_of_its_argument_is_refused() -> None:
    assert words("tests/x.py", "def stop(how: int) -> None: ...\n") == ["how"]
    assert words("tests/x.py", "stop(how=1)\n") == ["how"]


def test_a_name_that_contains_a_refused_identifier_is_accepted() -> None:
    assert words("operator/sendroute/x.py", "found_at = one_of = owner = 1\n") == []


def test_a_name_that_a_library_gave_is_accepted() -> None:
    assert words("operator/sendroute/x.py", "row = result.one()\n") == []
    assert words("tests/x.py", "import pytest\ndef run(item: pytest.Item) -> None: ...\n") == []
    assert words("tests/x.py", "from x import pytest\nitem = pytest.Item\n") == ["Item"]


def test_prose_is_checked_in_strings_comments_and_text_but_not_in_code() -> None:
    assert words("x.py", '"""Read anew."""\n') == ["anew"]
    assert words("x.py", "x = 1  # whoever\n") == ["whoever"]
    assert words("x.md", "Read\nanew.\n") == ["anew"]
    assert words("x.py", "whoever = 1\n") == []


def test_where_and_for_as_conjunctions_of_condition_and_reason_are_refused() -> None:
    text = "Set it. Where it is\nunset, it is empty.\n"
    assert words("x.md", text) == [". Where it is unset,"]
    assert words("x.py", "x = 1  # for it reads a million rows\n") == ["# for it reads"]
    assert words("x.md", "Show where it is, and why. Where is it?\n") == []
    assert words("x.md", "The key, where it is set, is used only where a role says so.\n") == [
        "where it is set",
        "only where a",
    ]
    assert words("x.md", "It is read where a store is; a hint shows where it is set.\n") == []
    assert words("x.py", "x = 1  # for the key of this store\n") == []


def test_name_as_a_verb_for_a_reference_is_refused() -> None:
    text = "A profile names a Secret. Accounts that name none are open.\n"
    assert words("x.md", text) == ["profile names a", "that name none"]
    assert words("x.md", "The user name and file names are bytes. A message names each.\n") == []


def test_the_repository_has_no_hits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    checked = [path for path in tracked() if not path.startswith(EXCLUDED)]
    assert checked
    hits = [
        hit
        for path in checked
        for hit in check(path, Path(path).read_text("utf-8", "replace"), RULES)
    ]
    assert hits == []


def test_the_name_of_a_class_is_a_noun_that_is_read_alone() -> None:
    assert words("operator/sendroute/x.py", "class Held: ...\nclass _Part: ...\n") == [
        "Held",
        "_Part",
    ]
    assert words("operator/sendroute/x.py", "class HeldChange: part = held = 1\n") == []
