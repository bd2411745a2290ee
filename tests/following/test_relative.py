"""What is reported about a checkout does not show where the checkout is."""

from pathlib import Path

import pytest

from sendroute.following.relative import finding_within
from sendroute.model.remedy import GitTask, UseGit
from sendroute.store.lock_guard import locks_of


@pytest.mark.parametrize(("directory", "top"), [("", None), ("teams/acme/", "teams/acme")])
def test_the_command_for_a_merge_is_relative_to_the_repository(
    tmp_path: Path, directory: str, top: str | None
) -> None:
    lock = tmp_path / directory / "sendroute.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text("<<<<<<< HEAD\n")
    [read] = locks_of([str(lock.parent)], lambda _path: True)
    [item] = read.findings
    within = finding_within(str(tmp_path), item)
    assert within.remedy == UseGit(GitTask.TAKE_ONE_SIDE, "sendroute.lock", top)
    assert str(tmp_path) not in repr(within)
