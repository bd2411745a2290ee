"""A lock file that Sendroute cannot have written creates no store, and no part of it wins."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sendroute.model.problem import ProblemError
from sendroute.model.secret import PLATFORM_NAMESPACE
from sendroute.store import lockfile
from sendroute.store.lock_guard import locks_of
from sendroute.store.record import Store


@pytest.fixture
def lock(store: Store, say: Any, tmp_path: Path) -> Path:
    store.commit([say.start("a.example", "b.example")], None, say.provenance)
    store.write_lock(tmp_path / "sendroute.lock")
    return tmp_path / "sendroute.lock"


def refused(path: Path) -> None:
    with pytest.raises(ProblemError) as caught:
        lockfile.read(path)
    [finding] = caught.value.findings
    assert finding.code == "invalid-value"
    assert "is not a valid lock file" in finding.message


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"b.example":', '"a.example":'),
        ('"b.example":', '"\\u0061.example":'),
        ('"revision":', '"revision": 999, "revision":'),
        ('"plan":', '"plan": "other", "plan":'),
    ],
)
def test_a_key_that_is_there_twice_is_damage(lock: Path, old: str, new: str) -> None:
    text = lock.read_text()
    assert old in text
    lock.write_text(text.replace(old, new, 1))
    refused(lock)


def test_a_header_with_two_revisions_is_damage(lock: Path) -> None:
    text = lock.read_text()
    lock.write_text(text.replace('"revision":', '"revision": 999, "revision":', 1))
    [read] = locks_of([str(lock.parent)], lambda _path: True)
    assert read.header is None
    assert [finding.code for finding in read.findings] == ["invalid-value"]


def in_the_platforms_namespace(content: dict[str, Any]) -> None:
    content["accounts"][0]["namespace"] = PLATFORM_NAMESPACE


def with_an_account_twice(content: dict[str, Any]) -> None:
    content["accounts"].append(dict(content["accounts"][0], domains={}))


def with_a_domain_of_two_accounts(content: dict[str, Any]) -> None:
    content["accounts"].append(dict(content["accounts"][0], name="other"))


def with_an_empty_label(content: dict[str, Any]) -> None:
    domains = content["accounts"][0]["domains"]
    domains["a..b"] = domains["a.example"]


@pytest.mark.parametrize(
    "damage",
    [
        in_the_platforms_namespace,
        with_an_account_twice,
        with_a_domain_of_two_accounts,
        with_an_empty_label,
    ],
)
def test_what_no_manifests_can_say_is_damage(
    lock: Path, damage: Callable[[dict[str, Any]], None]
) -> None:
    content = json.loads(lock.read_text())
    damage(content)
    lock.write_text(json.dumps(content))
    refused(lock)
