"""A branch of a real repository: as it moves, is rewritten, goes and comes back."""

import fcntl
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from sendroute.following.follower import StoppedError, Tree
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError

from .conftest import Repository, RunOptions, never


def refused(made: object) -> Finding:
    """What a look says that fails."""
    with pytest.raises(ProblemError) as caught:
        made.look(never)  # type: ignore[attr-defined]
    (found,) = caught.value.findings
    assert found.hint
    return found


def text_of(tree: Tree, name: str = "a.yaml") -> str:
    return (Path(tree.path) / name).read_text()


def test_the_newest_commit_is_checked_out(repository: Repository, following: RunOptions) -> None:
    commit = repository.commit("acme/a.yaml", "x: 1\n")
    tree = following(repository.url).look(never)
    assert tree.commit == tree.mark == commit
    assert tree.path == tree.root
    assert text_of(tree, "acme/a.yaml") == "x: 1\n"
    assert not (Path(tree.path) / ".git").exists()


def test_a_look_without_a_change_is_the_same_tree(
    repository: Repository, following: RunOptions
) -> None:
    repository.commit()
    follower = following(repository.url)
    tree = follower.look(never)
    assert follower.look(never) == tree
    assert follower.unchanged(tree)


def test_a_push_is_another_tree_and_the_good_one_stays(
    repository: Repository, following: RunOptions, tmp_path: Path
) -> None:
    repository.commit(text="good")
    follower = following(repository.url)
    good = follower.look(never)
    follower.keep(good)
    for turn in range(3):
        repository.commit(text=f"{turn}")
        newest = follower.look(never)
        assert text_of(newest) == f"{turn}"
        assert text_of(good) == "good"
        assert {path.name for path in (tmp_path / "state/sendroute-source/trees").iterdir()} == {
            good.commit,
            newest.commit,
        }
    follower.keep(newest)
    last = repository.commit(text="last")
    assert follower.look(never).commit == last
    assert not Path(good.path).exists()
    assert follower.last_good(never) == newest


def test_another_branch_and_a_branch_with_a_slash(
    repository: Repository, following: RunOptions
) -> None:
    repository.commit()
    repository.git("checkout", "-q", "-b", "team/next")
    commit = repository.commit(text="next")
    repository.git("checkout", "-q", "main")
    assert following(repository.url, branch="team/next").look(never).commit == commit


def test_a_branch_whose_name_ends_like_it_is_not_taken_for_it(
    repository: Repository, following: RunOptions
) -> None:
    """git-ls-remote(1) matches the end of a name."""
    commit = repository.commit()
    repository.commit(text="y")
    repository.git("branch", "aaa/refs/heads/main")
    repository.git("update-ref", "refs/heads/main", commit)
    assert following(repository.url, branch="main").look(never).commit == commit


def test_a_rewritten_branch_is_followed(repository: Repository, following: RunOptions) -> None:
    repository.commit(text="1")
    repository.commit(text="2")
    follower = following(repository.url)
    follower.look(never)
    repository.git("reset", "-q", "--hard", "HEAD~1")
    assert text_of(follower.look(never)) == "1"
    repository.git("checkout", "-q", "--orphan", "anew")
    repository.commit(text="3")
    repository.git("branch", "-M", "anew", "main")
    assert text_of(follower.look(never)) == "3"


def test_a_branch_that_goes_is_told_and_found_again(
    repository: Repository, following: RunOptions
) -> None:
    commit = repository.commit()
    repository.git("checkout", "-q", "-b", "other")
    follower = following(repository.url, branch="main")
    before = follower.look(never)
    repository.git("branch", "-m", "main", "away")
    found = refused(follower)
    assert (found.code, found.message) == (
        "source-unreachable",
        f"Branch main of {repository.url} cannot be had: the repository has no branch main.",
    )
    assert text_of(before) == "x"
    repository.git("branch", "-m", "away", "main")
    assert follower.look(never).commit == commit


def test_a_repository_that_goes_is_told_and_found_again(
    repository: Repository, following: RunOptions
) -> None:
    repository.commit()
    follower = following(repository.url)
    before = follower.look(never)
    repository.folder.rename(repository.folder.with_name("away"))
    assert "the repository does not exist" in refused(follower).message
    assert text_of(before) == "x"
    repository.folder.with_name("away").rename(repository.folder)
    assert follower.look(never) == before


def test_an_empty_repository_is_told_until_something_is_pushed(
    repository: Repository, following: RunOptions
) -> None:
    follower = following(repository.url)
    assert "has no commit on its default branch" in refused(follower).message
    commit = repository.commit()
    assert follower.look(never).commit == commit


def test_a_repository_of_sha256(tmp_path: Path, following: RunOptions) -> None:
    repository = Repository(tmp_path / "origin", "--object-format=sha256")
    commit = repository.commit()
    follower = following(repository.url)
    assert len(commit) == 64
    assert follower.look(never).commit == commit
    follower.keep(follower.look(never))
    again = repository.commit(text="y")
    assert follower.look(never).commit == again


def test_a_repository_that_changes_its_hash(tmp_path: Path, following: RunOptions) -> None:
    repository = Repository(tmp_path / "origin")
    repository.commit()
    follower = following(repository.url)
    follower.look(never)
    repository.folder.rename(tmp_path / "old")
    commit = Repository(tmp_path / "origin", "--object-format=sha256").commit()
    assert follower.look(never).commit == commit


def test_a_bare_repository_by_its_path(
    repository: Repository, following: RunOptions, tmp_path: Path
) -> None:
    commit = repository.commit()
    bare = tmp_path / "a bare one"
    repository.git("clone", "-q", "--bare", str(repository.folder), str(bare))
    assert following(str(bare)).look(never).commit == commit


def test_only_one_commit_is_fetched(
    repository: Repository, following: RunOptions, tmp_path: Path
) -> None:
    for turn in range(5):
        repository.commit(text=f"{turn}")
    following(repository.url).look(never)
    counted = repository.git(
        f"--git-dir={tmp_path}/state/sendroute-source/repository", "rev-list", "--count", "--all"
    )
    assert counted == "1"


def test_what_nobody_needs_any_more_is_given_up(
    repository: Repository, following: RunOptions, tmp_path: Path
) -> None:
    follower = following(repository.url)
    for turn in range(30):
        repository.commit(text=f"{turn}")
        follower.look(never)
    packs = list((tmp_path / "state/sendroute-source/repository/objects/pack").glob("*.pack"))
    assert len(packs) < 25


class TestPath:
    def test_a_folder_of_the_repository(
        self, repository: Repository, following: RunOptions
    ) -> None:
        repository.commit("mail/acme/a.yaml")
        repository.commit("b.yaml")
        tree = following(repository.url, path="mail/acme").look(never)
        assert Path(tree.path).name == "acme"
        assert Path(tree.path).is_relative_to(tree.root or "")
        assert text_of(tree) == "x"

    def test_a_file_of_the_repository(self, repository: Repository, following: RunOptions) -> None:
        repository.commit("mail.yaml", "y")
        assert Path(following(repository.url, path="mail.yaml").look(never).path).read_text() == "y"

    def test_one_that_the_commit_lacks_is_told(
        self, repository: Repository, following: RunOptions
    ) -> None:
        commit = repository.commit()
        found = refused(following(repository.url, path="mail"))
        assert found.message == f"Commit {commit[:12]} has no mail."


class TestLastGood:
    def test_it_is_had_after_a_restart_with_a_bad_tip(
        self, repository: Repository, following: RunOptions
    ) -> None:
        commit = repository.commit(text="good")
        first = following(repository.url)
        first.keep(first.look(never))
        repository.commit(text="bad")
        first.look(never)
        first.close()
        second = following(repository.url)
        assert text_of(second.look(never)) == "bad"
        good = second.last_good(never)
        assert good is not None
        assert good.commit == commit
        assert text_of(good) == "good"

    def test_it_is_had_without_the_server(
        self, repository: Repository, following: RunOptions
    ) -> None:
        repository.commit(text="good")
        first = following(repository.url)
        first.keep(first.look(never))
        first.close()
        repository.folder.rename(repository.folder.with_name("away"))
        good = following(repository.url).last_good(never)
        assert good is not None
        assert text_of(good) == "good"

    def test_without_one_there_is_none(self, repository: Repository, following: RunOptions) -> None:
        follower = following(repository.url)
        assert follower.last_good(never) is None
        repository.commit()
        follower.look(never)
        assert follower.last_good(never) is None

    def test_that_of_another_source_is_not_taken(
        self, repository: Repository, following: RunOptions
    ) -> None:
        repository.commit()
        repository.git("branch", "other")
        first = following(repository.url, branch="other")
        first.keep(first.look(never))
        first.close()
        assert following(repository.url, branch="main").last_good(never) is None

    def test_it_outlasts_tidying(self, repository: Repository, following: RunOptions) -> None:
        commit = repository.commit(text="good")
        first = following(repository.url)
        first.keep(first.look(never))
        for turn in range(25):
            repository.commit(text=f"{turn}")
            first.look(never)
        first.close()
        good = following(repository.url).last_good(never)
        assert good is not None
        assert good.commit == commit


class TestState:
    def test_a_temporary_one_is_removed_at_the_end(
        self,
        repository: Repository,
        following: RunOptions,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        (tmp_path / "tmp").mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
        repository.commit()
        follower = following(repository.url, state=None)
        tree = follower.look(never)
        assert Path(tree.path).is_relative_to(tmp_path / "tmp")
        follower.close()
        follower.close()
        assert list((tmp_path / "tmp").iterdir()) == []

    def test_two_do_not_share_one(self, repository: Repository, following: RunOptions) -> None:
        first = following(repository.url)
        with pytest.raises(ProblemError) as caught:
            following(repository.url)
        assert caught.value.findings[0].message.startswith("Another sendroute uses the state")
        first.close()
        following(repository.url)

    def test_a_lock_that_outlives_the_killed_one_by_an_instant_is_waited_for(
        self, repository: Repository, following: RunOptions, tmp_path: Path
    ) -> None:
        folder = tmp_path / "state/sendroute-source"
        folder.mkdir(parents=True)
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        # As a child between its fork and its exec: it has the lock, and nobody else any more.
        with subprocess.Popen(["sleep", "0.5"], pass_fds=[lock]):
            os.close(lock)
            repository.commit()
            assert following(repository.url).look(never)

    def test_one_that_is_no_folder_is_told(
        self, repository: Repository, following: RunOptions, tmp_path: Path
    ) -> None:
        (tmp_path / "state").touch()
        with pytest.raises(ProblemError) as caught:
            following(repository.url)
        assert caught.value.findings[0].code == "unwritable"

    def test_what_a_crash_left_is_in_nobodys_way(
        self, repository: Repository, following: RunOptions, tmp_path: Path
    ) -> None:
        commit = repository.commit(text="whole")
        first = following(repository.url)
        first.keep(first.look(never))
        first.close()
        state = tmp_path / "state/sendroute-source"
        half = state / "trees" / commit
        half.joinpath("a.yaml").write_text("ha")
        (state / ".new-1").mkdir()
        own = next((state / "repository/refs").rglob("good")).parent
        for left in (state / "repository/shallow.lock", own / "tip.lock", own / "good.lock"):
            left.touch()
        second = following(repository.url)
        assert text_of(second.look(never)) == "whole"
        assert not (state / ".new-1").exists()
        newer = repository.commit(text="newer")
        second.keep(second.look(never))
        good = second.last_good(never)
        assert good is not None
        assert good.commit == newer

    def test_what_else_lies_in_the_folder_is_left_alone(
        self, repository: Repository, following: RunOptions, tmp_path: Path
    ) -> None:
        repository.commit()
        others = [tmp_path / "state" / name for name in ("trees/x", "repository/x", ".old-1/x")]
        for other in others:
            other.parent.mkdir(parents=True)
            other.touch()
        following(repository.url).look(never)
        assert all(other.exists() for other in others)

    def test_a_link_in_it_is_removed_and_not_what_it_leads_to(
        self, repository: Repository, following: RunOptions, tmp_path: Path
    ) -> None:
        repository.commit()
        (tmp_path / "precious").mkdir()
        (tmp_path / "precious/file").touch()
        own = tmp_path / "state/sendroute-source"
        own.mkdir(parents=True)
        (own / "trees").symlink_to(tmp_path / "precious")
        following(repository.url).look(never)
        assert (tmp_path / "precious/file").exists()

    def test_a_checkout_that_somebody_removed_is_made_again(
        self, repository: Repository, following: RunOptions
    ) -> None:
        repository.commit()
        follower = following(repository.url)
        tree = follower.look(never)
        Path(tree.path).rename(Path(tree.path).with_name("away"))
        assert not follower.unchanged(tree)
        assert text_of(follower.look(never)) == "x"
        assert follower.unchanged(tree)

    @pytest.mark.parametrize("damage", ["objects", "HEAD", "config", "packs cut short"])
    def test_a_damaged_repository_is_made_anew(
        self, repository: Repository, following: RunOptions, tmp_path: Path, damage: str
    ) -> None:
        repository.commit()
        first = following(repository.url)
        first.look(never)
        first.close()
        own = tmp_path / "state/sendroute-source/repository"
        if damage == "objects":
            (own / "objects").rename(tmp_path / "objects")
        elif damage == "packs cut short":
            for pack in (own / "objects/pack").iterdir():
                pack.chmod(0o600)
                pack.write_bytes(pack.read_bytes()[:40])
        else:
            (own / damage).write_bytes(b"\0\0\0")
        assert text_of(following(repository.url).look(never)) == "x"

    def test_a_checkout_of_folders_in_folders_is_removed(
        self, repository: Repository, following: RunOptions
    ) -> None:
        """Deeper than Python nests calls, and than it may hold files open."""
        repository.commit("x")
        blob = repository.git("rev-parse", "HEAD:x")
        deep = "d/" * 1500 + "a.yaml"
        repository.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{deep}")
        repository.git("commit", "-q", "-m", "deep")
        follower = following(repository.url)
        tree = follower.look(never)
        assert text_of(tree, deep) == "x"
        repository.git("rm", "-q", "--cached", deep)
        repository.commit("y")
        follower.look(never)
        assert not Path(tree.path).exists()


class TestEnding:
    def test_it_gives_up_when_it_is_to_end(
        self, repository: Repository, following: RunOptions
    ) -> None:
        repository.commit()
        follower = following(repository.url)
        with pytest.raises(StoppedError):
            follower.look(lambda: True)
        assert text_of(follower.look(never)) == "x"
