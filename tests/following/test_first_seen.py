"""When commits were first seen: never later, and never in the future."""

import json
import time
from pathlib import Path

import pytest

from sendroute.following.first_seen import FirstSeen


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "first-seen.json"


def test_a_commit_keeps_the_time_at_which_it_was_first_seen(file: Path) -> None:
    before = time.time()
    first = FirstSeen(file).time_of("a", ())
    assert before <= first <= time.time()
    FirstSeen(file).time_of("b", {"a"})
    assert FirstSeen(file).time_of("a", ()) == first


def test_a_commit_that_was_forgotten_is_new_again(file: Path) -> None:
    first = FirstSeen(file).time_of("a", ())
    FirstSeen(file).time_of("b", {None})
    assert FirstSeen(file).time_of("a", {"b"}) > first


def test_a_time_in_the_future_counts_as_now(file: Path) -> None:
    file.write_text(json.dumps({"a": time.time() + 1000}))
    assert FirstSeen(file).time_of("a", ()) <= time.time()


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b'{"\xff": 1}', b"[]", b'{"a": "x"}', b'{"a": -1e300}']
)
def test_a_damaged_file_counts_as_none(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    before = time.time()
    assert FirstSeen(file).time_of("a", ()) >= before
