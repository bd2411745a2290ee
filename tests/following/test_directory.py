"""A directory that changes: what changes its fingerprint, and what does not."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sendroute.following.directory import DirectoryFollower
from sendroute.following.follower import StoppedError
from sendroute.model.problem import ProblemError


def never() -> bool:
    return False


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("a.yaml", "inner/b.yml", "inner/deep/c.json", "notes.txt", ".git/x.yaml"):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text")
    return tmp_path / "tree"


def rewritten_with_the_old_time(tree: Path) -> None:
    before = (tree / "a.yaml").stat()
    (tree / "a.yaml").write_text("Text")
    os.utime(tree / "a.yaml", ns=(before.st_atime_ns, before.st_mtime_ns))


def renamed_over(tree: Path) -> None:
    (tree / ".a").write_text("Text")
    (tree / ".a").replace(tree / "a.yaml")


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file is written": lambda tree: (tree / "inner/b.yml").write_text("more text"),
    "a file is written with the same size and time": rewritten_with_the_old_time,
    "a file is replaced by a rename": renamed_over,
    "a file is added": lambda tree: (tree / "new.yaml").touch(),
    "a file with an ending in capitals is added": lambda tree: (tree / "new.YAML").touch(),
    "a file is removed": lambda tree: (tree / "inner/deep/c.json").unlink(),
    "a file is renamed": lambda tree: (tree / "a.yaml").rename(tree / "b.yaml"),
    "a file becomes unreadable": lambda tree: (tree / "a.yaml").chmod(0),
    "a directory is renamed": lambda tree: (tree / "inner").rename(tree / "outer"),
    "a link to a file outside is added": lambda tree: (tree / "l.yaml").symlink_to("/etc/hosts"),
    "a dangling link is added": lambda tree: (tree / "l.yaml").symlink_to("nowhere"),
}
NO_CHANGES: dict[str, Callable[[Path], object]] = {
    "nothing happens": lambda tree: tree,
    "a file is read": lambda tree: (tree / "a.yaml").read_text(),
    "a file with another suffix is written": lambda tree: (tree / "notes.txt").write_text("x"),
    "a file with another suffix is added": lambda tree: (tree / "inner/README.md").touch(),
    "a hidden file is written": lambda tree: (tree / ".git/x.yaml").write_text("x"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_of_the_manifests_changes_the_fingerprint(
    tree: Path, change: Callable[[Path], object]
) -> None:
    follower = DirectoryFollower(str(tree))
    before = follower.poll(never)
    change(tree)
    assert not follower.unchanged(before)
    assert follower.poll(never).fingerprint != before.fingerprint


def test_extra_files_are_part_of_the_fingerprint(tree: Path, tmp_path: Path) -> None:
    lock = tmp_path / "the.lock"
    follower = DirectoryFollower(str(tree), lambda _path: [str(lock)])
    fingerprints = [follower.poll(never).fingerprint]
    for change in (lock.touch, lambda: lock.write_text("text"), lock.unlink):
        change()
        fingerprints.append(follower.poll(never).fingerprint)
    assert len(set(fingerprints)) == 3
    assert fingerprints[0] == fingerprints[-1]


@pytest.mark.parametrize("event", NO_CHANGES.values(), ids=NO_CHANGES)
def test_files_that_are_not_read_do_not_change_the_fingerprint(
    tree: Path, event: Callable[[Path], object]
) -> None:
    follower = DirectoryFollower(str(tree))
    before = follower.poll(never)
    event(tree)
    assert follower.unchanged(before)
    assert follower.poll(never) == before


def test_a_switched_link_is_a_change(tree: Path, tmp_path: Path) -> None:
    """As git-sync does it; also if both targets hold the same files."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.yaml").write_text("text")
    current = tmp_path / "current"
    current.symlink_to(tree)
    follower = DirectoryFollower(str(current))
    before = follower.poll(never)
    (tmp_path / "next").symlink_to(other)
    (tmp_path / "next").replace(current)
    assert not follower.unchanged(before)
    after = follower.poll(never)
    assert after.fingerprint != before.fingerprint
    assert after.path == str(current)


def test_a_change_in_a_linked_directory_is_detected(tree: Path, tmp_path: Path) -> None:
    linked = tmp_path / "elsewhere"
    linked.mkdir()
    (tree / "linked").symlink_to(linked)
    follower = DirectoryFollower(str(tree))
    before = follower.poll(never)
    (linked / "x.yaml").touch()
    assert not follower.unchanged(before)


def test_a_link_to_a_parent_directory_is_visited_once(tree: Path) -> None:
    (tree / "inner/round").symlink_to(tree)
    assert DirectoryFollower(str(tree)).poll(never).commit is None


def test_a_write_immediately_after_a_poll_is_never_missed(tree: Path) -> None:
    """Same size, same inode, and within one tick of the file system's clock."""
    follower = DirectoryFollower(str(tree))
    for number in range(50):
        (tree / "a.yaml").write_text(f"{number:04}")
        tree_before = follower.poll(never)
        (tree / "a.yaml").write_text(f"{number + 1:04}")
        assert not follower.unchanged(tree_before), number


def test_a_single_file_with_any_suffix_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "manifests"
    path.write_text("x")
    follower = DirectoryFollower(str(path))
    before = follower.poll(never)
    path.write_text("xy")
    assert not follower.unchanged(before)


def test_a_missing_source_is_reported_until_it_is_back(tree: Path) -> None:
    follower = DirectoryFollower(str(tree))
    before = follower.poll(never)
    tree.rename(tree.with_name("away"))
    with pytest.raises(ProblemError) as caught:
        follower.poll(never)
    assert caught.value.findings[0].code == "source-unreachable"
    assert caught.value.findings[0].hint
    assert not follower.unchanged(before)
    tree.with_name("away").rename(tree)
    assert follower.poll(never) == before


def test_a_poll_ends_when_should_stop_is_true(tree: Path) -> None:
    with pytest.raises(StoppedError):
        DirectoryFollower(str(tree)).poll(lambda: True)


def test_a_directory_remembers_no_tree(tree: Path) -> None:
    follower = DirectoryFollower(str(tree))
    follower.remember(follower.poll(never))
    assert follower.last_good(never) is None
    follower.close()
    follower.close()


def test_a_snapshot_says_since_when_the_directory_is_unchanged(tree: Path) -> None:
    begin = time.monotonic()
    follower = DirectoryFollower(str(tree))
    first = follower.poll(never).changed_at
    assert first is not None
    assert first <= time.monotonic()
    assert begin - first < 60  # the files were written a moment ago
    assert follower.poll(never).changed_at == first
    (tree / "a.yaml").unlink()
    (tree / "inner").rename(tree.parent / "inner")
    before_poll = time.monotonic()
    second = follower.poll(never).changed_at
    assert second is not None
    assert second >= before_poll


def test_an_old_directory_is_unchanged_for_long_and_a_future_time_is_now(tree: Path) -> None:
    time.sleep(0.3)
    begin = time.monotonic()
    old = DirectoryFollower(str(tree)).poll(never).changed_at
    assert old is not None
    assert old < begin - 0.2
    os.utime(tree / "a.yaml", (time.time() + 1e6,) * 2)
    future = DirectoryFollower(str(tree)).poll(never).changed_at
    assert future is not None
    assert begin <= future <= time.monotonic()
