"""A directory as it is written to: what changes its mark, and what does not."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sendroute.following.directory import Directory
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
    "a file of the same size and time": rewritten_with_the_old_time,
    "a file is renamed over it": renamed_over,
    "a file is new": lambda tree: (tree / "new.yaml").touch(),
    "a file is gone": lambda tree: (tree / "inner/deep/c.json").unlink(),
    "a file has another name": lambda tree: (tree / "a.yaml").rename(tree / "b.yaml"),
    "a file may not be read any more": lambda tree: (tree / "a.yaml").chmod(0),
    "a folder has another name": lambda tree: (tree / "inner").rename(tree / "outer"),
    "a link to a file outside is new": lambda tree: (tree / "l.yaml").symlink_to("/etc/hosts"),
    "a link that leads nowhere is new": lambda tree: (tree / "l.yaml").symlink_to("nowhere"),
}
NO_CHANGES: dict[str, Callable[[Path], object]] = {
    "nothing happens": lambda tree: tree,
    "a file is read": lambda tree: (tree / "a.yaml").read_text(),
    "a file of another kind is written": lambda tree: (tree / "notes.txt").write_text("x"),
    "a file of another kind is new": lambda tree: (tree / "inner/README.md").touch(),
    "a hidden file is written": lambda tree: (tree / ".git/x.yaml").write_text("x"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_of_what_would_be_read_is_seen(
    tree: Path, change: Callable[[Path], object]
) -> None:
    follower = Directory(str(tree))
    before = follower.look(never)
    change(tree)
    assert not follower.unchanged(before)
    assert follower.look(never).mark != before.mark


def test_a_file_beside_the_manifests_is_part_of_it(tree: Path, tmp_path: Path) -> None:
    lock = tmp_path / "the.lock"
    follower = Directory(str(tree), lambda _path: [str(lock)])
    marks = [follower.look(never).mark]
    for happens in (lock.touch, lambda: lock.write_text("text"), lock.unlink):
        happens()
        marks.append(follower.look(never).mark)
    assert len(set(marks)) == 3
    assert marks[0] == marks[-1]


@pytest.mark.parametrize("happening", NO_CHANGES.values(), ids=NO_CHANGES)
def test_what_is_not_read_is_no_change(tree: Path, happening: Callable[[Path], object]) -> None:
    follower = Directory(str(tree))
    before = follower.look(never)
    happening(tree)
    assert follower.unchanged(before)
    assert follower.look(never) == before


def test_a_link_that_is_switched_is_a_change(tree: Path, tmp_path: Path) -> None:
    """As git-sync does it, even where both hold the same."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.yaml").write_text("text")
    current = tmp_path / "current"
    current.symlink_to(tree)
    follower = Directory(str(current))
    before = follower.look(never)
    (tmp_path / "next").symlink_to(other)
    (tmp_path / "next").replace(current)
    assert not follower.unchanged(before)
    after = follower.look(never)
    assert after.mark != before.mark
    assert after.path == str(current)


def test_a_change_in_a_linked_folder_is_seen(tree: Path, tmp_path: Path) -> None:
    linked = tmp_path / "elsewhere"
    linked.mkdir()
    (tree / "linked").symlink_to(linked)
    follower = Directory(str(tree))
    before = follower.look(never)
    (linked / "x.yaml").touch()
    assert not follower.unchanged(before)


def test_folders_that_hold_each_other_come_once(tree: Path) -> None:
    (tree / "inner/round").symlink_to(tree)
    assert Directory(str(tree)).look(never).commit is None


def test_writing_at_once_after_a_look_is_never_missed(tree: Path) -> None:
    """Same size, same inode, and within one tick of the clock that files are stamped by."""
    follower = Directory(str(tree))
    for turn in range(50):
        (tree / "a.yaml").write_text(f"{turn:04}")
        seen = follower.look(never)
        (tree / "a.yaml").write_text(f"{turn + 1:04}")
        assert not follower.unchanged(seen), turn


def test_one_file_is_followed_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "manifests"
    path.write_text("x")
    follower = Directory(str(path))
    before = follower.look(never)
    path.write_text("xy")
    assert not follower.unchanged(before)


def test_a_source_that_is_gone_is_told_and_comes_back(tree: Path) -> None:
    follower = Directory(str(tree))
    before = follower.look(never)
    tree.rename(tree.with_name("away"))
    with pytest.raises(ProblemError) as caught:
        follower.look(never)
    assert caught.value.findings[0].code == "source-unreachable"
    assert caught.value.findings[0].hint
    assert not follower.unchanged(before)
    tree.with_name("away").rename(tree)
    assert follower.look(never) == before


def test_it_stops_when_it_is_to_end(tree: Path) -> None:
    with pytest.raises(StoppedError):
        Directory(str(tree)).look(lambda: True)


def test_it_remembers_nothing(tree: Path) -> None:
    follower = Directory(str(tree))
    follower.keep(follower.look(never))
    assert follower.last_good(never) is None
    follower.close()
    follower.close()
