"""Which earlier commits a tree's commit contains, in real repositories."""

import subprocess
from pathlib import Path

import pytest

from sendroute.git.failures import GitFailedError
from sendroute.git.repository import find_checkout
from sendroute.git.tree_history import TreeHistory, tree_history
from sendroute.model.ancestry import Ancestry, AppliedCommit, compare


def git(directory: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=T", "-c", "user.email=t@t.example", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(directory), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(directory: Path, text: str) -> str:
    git(directory, "commit", "-q", "--allow-empty", "-m", text)
    return git(directory, "rev-parse", "HEAD")


def history(path: Path) -> TreeHistory:
    checkout = find_checkout(str(path))
    assert checkout is not None
    ancestry = tree_history(checkout)
    assert ancestry is not None
    return ancestry


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[str]]:
    """A repository with five commits in a line."""
    monkeypatch.setenv("HOME", str(tmp_path))
    top = tmp_path / "line"
    top.mkdir()
    git(top, "init", "-q", "-b", "main")
    return top, [commit(top, str(number)) for number in range(5)]


def test_a_commit_contains_itself_and_its_ancestors_only(line: tuple[Path, list[str]]) -> None:
    top, commits = line
    git(top, "checkout", "-q", commits[2])
    ancestry = history(top)
    assert [ancestry.contains(name) for name in commits] == [True, True, True, False, False]
    assert ancestry.commit == commits[2]
    assert ancestry.first_commit() == commits[0]
    assert ancestry.contains("0" * 40) is False
    assert not ancestry.has("0" * 40)
    assert not ancestry.has("--help")


def test_a_merge_contains_both_sides_and_keeps_the_first_commit(
    line: tuple[Path, list[str]],
) -> None:
    top, commits = line
    git(top, "checkout", "-q", "--orphan", "other")
    side = commit(top, "another beginning")
    assert history(top).contains(commits[0]) is False
    git(top, "checkout", "-q", "main")
    git(top, "merge", "-q", "--allow-unrelated-histories", "-m", "merged", "other")
    ancestry = history(top)
    assert (ancestry.contains(side), ancestry.contains(commits[4])) == (True, True)
    assert ancestry.first_commit() == commits[0]


def test_a_shallow_clone_answers_only_what_it_knows(
    line: tuple[Path, list[str]], tmp_path: Path
) -> None:
    top, commits = line
    git(tmp_path, "clone", "-q", "--depth=2", f"file://{top}", "shallow")
    shallow = history(tmp_path / "shallow")
    assert [shallow.contains(name) for name in commits] == [None, None, None, True, True]
    assert shallow.first_commit() is None
    # A commit that was fetched separately is here, but its place in the history is cut off.
    git(tmp_path / "shallow", "fetch", "-q", "--depth=1", "origin", commits[1])
    assert history(tmp_path / "shallow").contains(commits[1]) is None
    # The other way round everything that could lead to the newer commit is known.
    git(tmp_path / "shallow", "checkout", "-q", commits[3])
    assert history(tmp_path / "shallow").contains(commits[4]) is False


def test_a_damaged_complete_clone_is_not_taken_for_a_shallow_one(
    line: tuple[Path, list[str]],
) -> None:
    top, commits = line
    lost = top / ".git/objects" / commits[1][:2] / commits[1][2:]
    lost.unlink()
    git(top, "checkout", "-q", commits[3])
    assert history(top).contains("0" * 40) is False


@pytest.mark.parametrize("name", ["directory", "file"])
def test_without_its_repository_a_checkout_has_a_history_that_nobody_knows(
    line: tuple[Path, list[str]], name: str
) -> None:
    """That of a repository above it is another one."""
    top, _ = line
    (top / "m").mkdir()
    if name == "directory":
        (top / "m/.git").mkdir()
    else:
        (top / "m/.git").write_text("gitdir: gone\n")
    with pytest.raises(GitFailedError) as caught:
        history(top / "m")
    assert caught.value.cause is not None
    assert caught.value.cause.sentence == "its .git leads to no repository"


def test_a_missing_commit_counts_unless_it_is_of_another_repository(
    line: tuple[Path, list[str]],
) -> None:
    top, commits = line
    git(top, "checkout", "-q", commits[2])
    here, older = AppliedCommit(commits[4], commits[0]), AppliedCommit(commits[1], commits[0])
    rewritten = AppliedCommit("1" * 40, commits[0])
    unplaced, foreign = AppliedCommit("2" * 40), AppliedCommit("3" * 40, "f" * 40)
    tree = AppliedCommit(commits[2], commits[0])
    assert compare(history(top), [here, older, rewritten, foreign]) == Ancestry(
        tree, contained=(older,), missing=(here, rewritten)
    )
    assert compare(history(top), [unplaced, here, foreign]) == Ancestry(
        tree, missing=(here, unplaced)
    )
    assert compare(history(top), [unplaced, older]) == Ancestry(tree, contained=(older,)), (
        "the last one of this repository is known"
    )


def test_another_repository_is_missing_if_only_signed_commits_are_accepted(
    line: tuple[Path, list[str]],
) -> None:
    top, commits = line
    tree, foreign = AppliedCommit(commits[4], commits[0]), AppliedCommit("3" * 40, "f" * 40)
    only_foreign = compare(history(top), [foreign], signed=True)
    assert only_foreign == Ancestry(tree, missing=(foreign,), signed=True, elsewhere=True)
    older = AppliedCommit(commits[1], commits[0])
    both = compare(history(top), [foreign, older], signed=True)
    assert both == Ancestry(tree, contained=(older,), signed=True)
    assert compare(history(top), [], signed=True) == Ancestry(tree, signed=True)
