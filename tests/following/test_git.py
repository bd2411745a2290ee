"""A branch of a real repository that moves, is rewritten, disappears and returns."""

import fcntl
import os
import subprocess
import tempfile
import tracemalloc
from pathlib import Path

import pytest

from sendroute.following.follower import SourceSnapshot, StoppedError
from sendroute.following.selection import TreeLimits
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import Configure, Setting

from .conftest import Follow, Repository, never


def refused(follower: object) -> Finding:
    """The finding of a poll that fails."""
    with pytest.raises(ProblemError) as caught:
        follower.poll(never)  # type: ignore[attr-defined]
    (finding,) = caught.value.findings
    assert finding.hint
    return finding


def text_of(tree: SourceSnapshot, name: str = "a.yaml") -> str:
    return (Path(tree.path) / name).read_text()


def test_the_newest_commit_is_checked_out(repository: Repository, following: Follow) -> None:
    commit = repository.commit("acme/a.yaml", "x: 1\n")
    tree = following(repository.url).poll(never)
    assert tree.commit == tree.fingerprint == commit
    assert tree.path == tree.root
    assert text_of(tree, "acme/a.yaml") == "x: 1\n"
    assert not (Path(tree.path) / ".git").exists()


def test_a_poll_without_a_change_returns_the_same_tree(
    repository: Repository, following: Follow
) -> None:
    repository.commit()
    follower = following(repository.url)
    tree = follower.poll(never)
    assert follower.poll(never) == tree
    assert follower.unchanged(tree)


def test_a_push_gives_a_new_tree_and_keeps_the_remembered_one(
    repository: Repository, following: Follow, tmp_path: Path
) -> None:
    repository.commit(text="good")
    follower = following(repository.url)
    good = follower.poll(never)
    follower.remember(good)
    for number in range(3):
        repository.commit(text=f"{number}")
        newest = follower.poll(never)
        assert text_of(newest) == f"{number}"
        assert text_of(good) == "good"
        assert {path.name for path in (tmp_path / "state/sendroute-source/trees").iterdir()} == {
            good.commit,
            newest.commit,
        }
    follower.remember(newest)
    last = repository.commit(text="last")
    assert follower.poll(never).commit == last
    assert not Path(good.path).exists()
    assert follower.last_good(never) == newest


def test_a_branch_with_a_slash_is_followed(repository: Repository, following: Follow) -> None:
    repository.commit()
    repository.git("checkout", "-q", "-b", "team/next")
    commit = repository.commit(text="next")
    repository.git("checkout", "-q", "main")
    assert following(repository.url, branch="team/next").poll(never).commit == commit


def test_a_branch_whose_name_ends_with_the_given_name_is_ignored(
    repository: Repository, following: Follow
) -> None:
    """git-ls-remote(1) matches the end of a name."""
    commit = repository.commit()
    repository.commit(text="y")
    repository.git("branch", "aaa/refs/heads/main")
    repository.git("update-ref", "refs/heads/main", commit)
    assert following(repository.url, branch="main").poll(never).commit == commit


def test_a_rewritten_branch_is_followed(repository: Repository, following: Follow) -> None:
    repository.commit(text="1")
    repository.commit(text="2")
    follower = following(repository.url)
    follower.poll(never)
    repository.git("reset", "-q", "--hard", "HEAD~1")
    assert text_of(follower.poll(never)) == "1"
    repository.git("checkout", "-q", "--orphan", "rewritten")
    repository.commit(text="3")
    repository.git("branch", "-M", "rewritten", "main")
    assert text_of(follower.poll(never)) == "3"


def test_a_missing_branch_is_reported_until_it_is_back(
    repository: Repository, following: Follow
) -> None:
    commit = repository.commit()
    repository.git("checkout", "-q", "-b", "other")
    follower = following(repository.url, branch="main")
    before = follower.poll(never)
    repository.git("branch", "-m", "main", "away")
    finding = refused(follower)
    assert (finding.code, finding.message) == (
        "source-unreachable",
        f"Cannot read branch main of {repository.url}: the repository has no branch main.",
    )
    assert text_of(before) == "x"
    repository.git("branch", "-m", "away", "main")
    assert follower.poll(never).commit == commit


def test_a_missing_repository_is_reported_until_it_is_back(
    repository: Repository, following: Follow
) -> None:
    repository.commit()
    follower = following(repository.url)
    before = follower.poll(never)
    repository.directory.rename(repository.directory.with_name("away"))
    assert "the repository does not exist" in refused(follower).message
    assert text_of(before) == "x"
    repository.directory.with_name("away").rename(repository.directory)
    assert follower.poll(never) == before


def test_an_empty_repository_is_reported_until_a_push(
    repository: Repository, following: Follow
) -> None:
    follower = following(repository.url)
    assert "has no commit on its default branch" in refused(follower).message
    commit = repository.commit()
    assert follower.poll(never).commit == commit


def test_a_sha256_repository(tmp_path: Path, following: Follow) -> None:
    repository = Repository(tmp_path / "origin", "--object-format=sha256")
    commit = repository.commit()
    follower = following(repository.url)
    assert len(commit) == 64
    assert follower.poll(never).commit == commit
    follower.remember(follower.poll(never))
    again = repository.commit(text="y")
    assert follower.poll(never).commit == again


def test_a_repository_that_changes_its_object_format(tmp_path: Path, following: Follow) -> None:
    repository = Repository(tmp_path / "origin")
    repository.commit()
    follower = following(repository.url)
    follower.poll(never)
    repository.directory.rename(tmp_path / "old")
    commit = Repository(tmp_path / "origin", "--object-format=sha256").commit()
    assert follower.poll(never).commit == commit


def test_a_bare_repository_is_followed_by_its_file_url(
    repository: Repository, following: Follow, tmp_path: Path
) -> None:
    commit = repository.commit()
    bare = tmp_path / "bare repository"
    repository.git("clone", "-q", "--bare", str(repository.directory), str(bare))
    assert following(f"file://{bare}").poll(never).commit == commit


def test_only_one_commit_is_fetched(
    repository: Repository, following: Follow, tmp_path: Path
) -> None:
    for number in range(5):
        repository.commit(text=f"{number}")
    following(repository.url).poll(never)
    counted = repository.git(
        f"--git-dir={tmp_path}/state/sendroute-source/repository", "rev-list", "--count", "--all"
    )
    assert counted == "1"


def test_unneeded_packs_are_removed(
    repository: Repository, following: Follow, tmp_path: Path
) -> None:
    follower = following(repository.url)
    for number in range(30):
        repository.commit(text=f"{number}")
        follower.poll(never)
    packs = list((tmp_path / "state/sendroute-source/repository/objects/pack").glob("*.pack"))
    assert len(packs) < 25


class TestPath:
    def test_a_directory_of_the_repository(self, repository: Repository, following: Follow) -> None:
        repository.commit("mail/acme/a.yaml")
        repository.commit("b.yaml")
        tree = following(repository.url, path="mail/acme").poll(never)
        assert Path(tree.path).name == "acme"
        assert Path(tree.path).is_relative_to(tree.root or "")
        assert text_of(tree) == "x"

    def test_a_file_of_the_repository(self, repository: Repository, following: Follow) -> None:
        repository.commit("mail.yaml", "y")
        assert Path(following(repository.url, path="mail.yaml").poll(never).path).read_text() == "y"

    def test_a_path_that_the_commit_does_not_have_is_reported(
        self, repository: Repository, following: Follow
    ) -> None:
        commit = repository.commit()
        finding = refused(following(repository.url, path="mail"))
        assert finding.message == f"Commit {commit[:12]} has no mail."


class TestLastGood:
    def test_the_last_good_tree_is_available_after_a_restart(
        self, repository: Repository, following: Follow
    ) -> None:
        commit = repository.commit(text="good")
        first = following(repository.url)
        first.remember(first.poll(never))
        repository.commit(text="bad")
        first.poll(never)
        first.close()
        second = following(repository.url)
        assert text_of(second.poll(never)) == "bad"
        good = second.last_good(never)
        assert good is not None
        assert good.commit == commit
        assert text_of(good) == "good"

    def test_the_last_good_tree_is_available_without_the_server(
        self, repository: Repository, following: Follow
    ) -> None:
        repository.commit(text="good")
        first = following(repository.url)
        first.remember(first.poll(never))
        first.close()
        repository.directory.rename(repository.directory.with_name("away"))
        good = following(repository.url).last_good(never)
        assert good is not None
        assert text_of(good) == "good"

    def test_there_is_no_last_good_tree_before_one_is_remembered(
        self, repository: Repository, following: Follow
    ) -> None:
        follower = following(repository.url)
        assert follower.last_good(never) is None
        repository.commit()
        follower.poll(never)
        assert follower.last_good(never) is None

    def test_the_last_good_tree_of_another_branch_is_not_used(
        self, repository: Repository, following: Follow
    ) -> None:
        repository.commit()
        repository.git("branch", "other")
        first = following(repository.url, branch="other")
        first.remember(first.poll(never))
        first.close()
        assert following(repository.url, branch="main").last_good(never) is None

    def test_the_last_good_tree_survives_garbage_collection(
        self, repository: Repository, following: Follow
    ) -> None:
        commit = repository.commit(text="good")
        first = following(repository.url)
        first.remember(first.poll(never))
        for number in range(25):
            repository.commit(text=f"{number}")
            first.poll(never)
        first.close()
        good = following(repository.url).last_good(never)
        assert good is not None
        assert good.commit == commit


class TestState:
    def test_a_temporary_directory_is_removed_on_close(
        self,
        repository: Repository,
        following: Follow,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        (tmp_path / "tmp").mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
        repository.commit()
        follower = following(repository.url, state=None)
        tree = follower.poll(never)
        assert Path(tree.path).is_relative_to(tmp_path / "tmp")
        follower.close()
        follower.close()
        assert list((tmp_path / "tmp").iterdir()) == []

    def test_two_followers_cannot_share_a_directory(
        self, repository: Repository, following: Follow
    ) -> None:
        first = following(repository.url)
        with pytest.raises(ProblemError) as caught:
            following(repository.url)
        assert caught.value.findings[0].message.startswith(
            "Another sendroute process uses the state"
        )
        first.close()
        following(repository.url)

    def test_a_lock_of_a_killed_process_is_waited_for(
        self, repository: Repository, following: Follow, tmp_path: Path
    ) -> None:
        directory = tmp_path / "state/sendroute-source"
        directory.mkdir(parents=True)
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Like a child between fork and exec, which still holds the lock.
        with subprocess.Popen(["sleep", "0.5"], pass_fds=[lock]):
            os.close(lock)
            repository.commit()
            assert following(repository.url).poll(never)

    def test_a_file_instead_of_the_state_directory_is_reported(
        self, repository: Repository, following: Follow, tmp_path: Path
    ) -> None:
        (tmp_path / "state").touch()
        with pytest.raises(ProblemError) as caught:
            following(repository.url)
        assert caught.value.findings[0].code == "unwritable"

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
    def test_a_state_directory_of_another_user_is_refused(
        self, repository: Repository, following: Follow, tmp_path: Path
    ) -> None:
        """Its owner could replace the repository in it, whose configuration can run programs."""
        directory = tmp_path / "state/sendroute-source"
        directory.mkdir(parents=True)
        os.chown(directory, 65534, -1)
        with pytest.raises(ProblemError) as caught:
            following(repository.url)
        assert "belongs to another user" in caught.value.findings[0].message
        assert list(directory.iterdir()) == []

    def test_a_link_instead_of_the_state_directory_is_refused(
        self, repository: Repository, following: Follow, tmp_path: Path
    ) -> None:
        (tmp_path / "precious/trees").mkdir(parents=True)
        (tmp_path / "state").mkdir()
        (tmp_path / "state/sendroute-source").symlink_to(tmp_path / "precious")
        with pytest.raises(ProblemError) as caught:
            following(repository.url)
        assert caught.value.findings[0].code == "unwritable"
        assert (tmp_path / "precious/trees").exists()

    def test_nobody_else_may_write_the_state_directory(
        self, repository: Repository, following: Follow, tmp_path: Path
    ) -> None:
        directory = tmp_path / "state/sendroute-source"
        directory.mkdir(parents=True)
        directory.chmod(0o2775)
        following(repository.url)
        assert directory.stat().st_mode & 0o777 == 0o700

    def test_leftovers_of_a_crash_are_removed(
        self, repository: Repository, following: Follow, tmp_path: Path
    ) -> None:
        commit = repository.commit(text="whole")
        first = following(repository.url)
        first.remember(first.poll(never))
        first.close()
        state = tmp_path / "state/sendroute-source"
        partial = state / "trees" / commit
        partial.joinpath("a.yaml").write_text("ha")
        (state / ".new-1").mkdir()
        directory = next((state / "repository/refs").rglob("good")).parent
        for leftover in (
            state / "repository/shallow.lock",
            directory / "tip.lock",
            directory / "good.lock",
        ):
            leftover.touch()
        second = following(repository.url)
        assert text_of(second.poll(never)) == "whole"
        assert not (state / ".new-1").exists()
        newer = repository.commit(text="newer")
        second.remember(second.poll(never))
        good = second.last_good(never)
        assert good is not None
        assert good.commit == newer

    def test_other_files_in_the_given_directory_are_kept(
        self, repository: Repository, following: Follow, tmp_path: Path
    ) -> None:
        repository.commit()
        others = [tmp_path / "state" / name for name in ("trees/x", "repository/x", ".old-1/x")]
        for other in others:
            other.parent.mkdir(parents=True)
            other.touch()
        following(repository.url).poll(never)
        assert all(other.exists() for other in others)

    def test_a_link_in_the_state_directory_is_removed_but_not_its_target(
        self, repository: Repository, following: Follow, tmp_path: Path
    ) -> None:
        repository.commit()
        (tmp_path / "precious").mkdir()
        (tmp_path / "precious/file").touch()
        directory = tmp_path / "state/sendroute-source"
        directory.mkdir(parents=True)
        (directory / "trees").symlink_to(tmp_path / "precious")
        following(repository.url).poll(never)
        assert (tmp_path / "precious/file").exists()

    def test_a_removed_checkout_is_created_again(
        self, repository: Repository, following: Follow
    ) -> None:
        repository.commit()
        follower = following(repository.url)
        tree = follower.poll(never)
        Path(tree.path).rename(Path(tree.path).with_name("away"))
        assert not follower.unchanged(tree)
        assert text_of(follower.poll(never)) == "x"
        assert follower.unchanged(tree)

    @pytest.mark.parametrize("damage", ["objects", "HEAD", "config", "packs cut short"])
    def test_a_damaged_repository_is_replaced(
        self, repository: Repository, following: Follow, tmp_path: Path, damage: str
    ) -> None:
        repository.commit()
        first = following(repository.url)
        first.poll(never)
        first.close()
        directory = tmp_path / "state/sendroute-source/repository"
        if damage == "objects":
            (directory / "objects").rename(tmp_path / "objects")
        elif damage == "packs cut short":
            for pack in (directory / "objects/pack").iterdir():
                pack.chmod(0o600)
                pack.write_bytes(pack.read_bytes()[:40])
        else:
            (directory / damage).write_bytes(b"\0\0\0")
        assert text_of(following(repository.url).poll(never)) == "x"

    def test_a_deeply_nested_checkout_is_removed(
        self, repository: Repository, following: Follow
    ) -> None:
        """Deeper than Python's recursion limit and the limit of open files."""
        repository.commit("x")
        blob = repository.git("rev-parse", "HEAD:x")
        deep = "d/" * 1500 + "a.yaml"
        repository.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{deep}")
        repository.git("commit", "-q", "-m", "deep")
        follower = following(repository.url)
        tree = follower.poll(never)
        assert text_of(tree, deep) == "x"
        repository.git("rm", "-q", "--cached", deep)
        repository.commit("y")
        follower.poll(never)
        assert not Path(tree.path).exists()


class TestStopping:
    def test_a_poll_ends_when_should_stop_is_true(
        self, repository: Repository, following: Follow
    ) -> None:
        repository.commit()
        follower = following(repository.url)
        with pytest.raises(StoppedError):
            follower.poll(lambda: True)
        assert text_of(follower.poll(never)) == "x"


def unfold(repository: Repository, directory: str, levels: int) -> None:
    """Push ``directory``, in which directories that each hold another ten times end in blobs."""
    blob = repository.git("hash-object", "-w", "a.yaml")
    tree = repository.tree(*(f"100644 blob {blob}\tf{number}.yaml" for number in range(10)))
    for _ in range(levels - 1):
        tree = repository.tree(*(f"040000 tree {tree}\td{number}" for number in range(10)))
    top = repository.git("ls-tree", "HEAD").splitlines()
    commit = repository.git(
        "commit-tree", "-m", "x", repository.tree(*top, f"040000 tree {tree}\t{directory}")
    )
    repository.git("update-ref", "refs/heads/main", commit)


class TestSize:
    def test_only_the_path_and_the_named_files_above_it_are_checked_out(
        self, repository: Repository, following: Follow
    ) -> None:
        for name in ("teams/acme/mail/a.yaml", "teams/acme/b.yaml", "teams/c.yaml", "d.yaml"):
            repository.put(name)
        repository.put("teams/x.lock")
        repository.commit("x.lock")
        tree = following(repository.url, names_above=["x.lock"], path="teams/acme/mail").poll(never)
        top = Path(tree.root or "")
        files = {str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()}
        assert files == {"teams/acme/mail/a.yaml", "teams/x.lock", "x.lock"}

    def test_what_unfolds_beside_the_path_is_not_counted(
        self, repository: Repository, following: Follow
    ) -> None:
        repository.commit("mail/a.yaml", "y")
        repository.commit()
        unfold(repository, "zz", levels=12)  # 10 ** 12 files
        assert text_of(following(repository.url, path="mail").poll(never)) == "y"

    @pytest.mark.parametrize("path", ["", "zz"])
    def test_a_commit_that_unfolds_to_too_much_is_refused_before_it_is_written(
        self, repository: Repository, following: Follow, tmp_path: Path, path: str
    ) -> None:
        repository.commit("zz/a.yaml", "good")
        repository.commit()
        follower = following(repository.url, path=path)
        good = follower.poll(never)
        repository.git("rm", "-q", "-r", "zz")
        repository.commit("b.yaml")
        unfold(repository, "zz", levels=12)
        finding = refused(follower)
        assert (finding.code, finding.remedy) == ("source-too-large", Configure(Setting.TREE_FILES))
        assert (Path(good.root or "") / "zz/a.yaml").read_text() == "good"
        trees = (tmp_path / "state/sendroute-source/trees").iterdir()
        assert {tree.name for tree in trees} == {good.commit}

    def test_a_link_to_what_unfolds_is_refused(
        self, repository: Repository, following: Follow
    ) -> None:
        repository.put("mail/a.yaml")
        repository.commit()
        (repository.directory / "mail/in").symlink_to("../zz")
        repository.commit("a.yaml", "y")
        unfold(repository, "zz", levels=12)
        assert refused(following(repository.url, path="mail")).code == "source-too-large"

    def test_links_cost_memory_by_what_they_hold_and_not_by_how_deep_they_lead(
        self, repository: Repository, following: Follow
    ) -> None:
        repository.put("mail/a.yaml", "y")
        for number in range(30):  # 2,000 directories above each target
            link = repository.directory / f"mail/l{number}"
            link.symlink_to((f"../{number:06}" + "/a" * 2100)[:4095])
        repository.commit()
        follower = following(repository.url, path="mail")
        tracemalloc.start()
        try:
            tree = follower.poll(never)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert text_of(tree) == "y"
        assert peak < 10 << 20

    @pytest.mark.parametrize(
        ("limits", "setting"),
        [(TreeLimits(files=9), Setting.TREE_FILES), (TreeLimits(size=9_999), Setting.TREE_SIZE)],
    )
    def test_the_limits_can_be_set(
        self, repository: Repository, following: Follow, limits: TreeLimits, setting: Setting
    ) -> None:
        repository.put("a.yaml", "x" * 1000)
        repository.commit("b")
        unfold(repository, "zz", levels=1)
        finding = refused(following(repository.url, path="zz", tree=limits))
        assert finding.remedy == Configure(setting)
        exact = TreeLimits(files=11, size=10_000)
        assert following(repository.url, state="other", path="zz", tree=exact).poll(never)
