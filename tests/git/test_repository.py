"""Which repository a path is in, and that nothing in a repository or beside it is run."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from sendroute.git import process
from sendroute.git.failures import GitFailedError
from sendroute.git.repository import checked_out, find_repository, open_repository
from sendroute.git.revision import find_commit, list_tree, read_blobs
from sendroute.git.worktree import UnchangedFiles, commit_of

from .test_worktree import git


@pytest.fixture
def outer(tmp_path: Path) -> Path:
    """A repository with a manifest in ``m``."""
    outer = tmp_path / "outer"
    (outer / "m").mkdir(parents=True)
    git(outer, "init", "-q", "-b", "main")
    (outer / "m/a.yaml").write_text("a: 1\n")
    git(outer, "add", "-A")
    git(outer, "commit", "-qm", "first")
    return outer


def head(directory: Path) -> str:
    return git(directory, "rev-parse", "HEAD")


def program(tmp_path: Path) -> str:
    """A configured program that would write the file ``ran``."""
    return f"touch {tmp_path}/ran; env > {tmp_path}/stolen; false"


def embed(outer: Path, config: str) -> None:
    """Commit the files of a bare repository beside the manifests."""
    bare = outer.parent / "bare"
    git(outer, "init", "-q", "--bare", str(bare))
    tree = git(bare, "write-tree")
    commit = git(bare, "commit-tree", "-m", "x", tree)
    git(bare, "update-ref", "refs/heads/main", commit)
    for name in ("HEAD", "objects", "refs"):
        subprocess.run(["cp", "-r", str(bare / name), str(outer / "m")], check=True)
    # Without a version git ignores where the working tree is.
    (outer / "m/config").write_text(f"[core]\nrepositoryformatversion = 0\n{config}")
    git(outer, "add", "-A")
    git(outer, "commit", "-qm", "a tenant's commit")


def test_a_directory_that_looks_like_a_bare_repository_is_a_directory(
    outer: Path, tmp_path: Path
) -> None:
    embed(
        outer,
        f'[core]\nbare = false\nworktree = ..\nfsmonitor = "{program(tmp_path)}"\n',
    )
    repository = open_repository(str(outer / "m"))
    assert repository is not None
    assert repository.top == str(outer)
    assert commit_of([str(outer / "m")]) == head(outer)
    UnchangedFiles(repository).blobs()
    assert not (tmp_path / "ran").exists()


def test_without_a_repository_above_such_a_directory_is_in_none(
    outer: Path, tmp_path: Path
) -> None:
    embed(
        outer,
        f'[core]\nbare = false\nworktree = .\nfsmonitor = "{program(tmp_path)}"\n',
    )
    (outer / ".git").rename(tmp_path / "away")
    assert open_repository(str(outer / "m")) is None
    assert commit_of([str(outer / "m")]) is None
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("setting", ["fsmonitor", "hooksPath", "sshCommand", "filter"])
def test_the_configuration_of_a_real_repository_runs_nothing(
    outer: Path, tmp_path: Path, setting: str
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for name in ("program", "post-index-change", "fsmonitor-watchman"):
        (run / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        (run / name).chmod(0o755)
    with (outer / ".git/config").open("a") as config:
        config.write(
            {
                "fsmonitor": f'[core]\nfsmonitor = "{run}/program"\n',
                "hooksPath": f'[core]\nhooksPath = "{run}"\n',
                "sshCommand": f'[core]\nsshCommand = "{run}/program"\nrepositoryformatversion = 1\n'
                "[extensions]\npartialClone = origin\n"
                '[remote "origin"]\nurl = ssh://x/y\npromisor = true\n',
                "filter": f'[filter "x"]\nclean = "{run}/program"\nprocess = "{run}/program"\n'
                f'[diff "x"]\ntextconv = "{run}/program"\ncommand = "{run}/program"\n',
            }[setting]
        )
    (outer / ".gitattributes").write_text("*.yaml filter=x diff=x\n")
    (outer / "m/a.yaml").write_text("a: 2\n")
    (outer / "m/a.yaml").write_text("a: 1\n")
    repository = open_repository(str(outer / "m"))
    assert repository is not None
    UnchangedFiles(repository).blobs()
    commit = find_commit("HEAD", repository)
    assert commit == head(outer)
    list_tree(commit, repository)
    assert find_commit("1" * 40, repository) is None
    commit_of([str(outer / "m")])
    assert not (tmp_path / "ran").exists()


def test_a_git_file_in_the_tree_of_a_repository_leads_to_no_files_of_that_tree(
    outer: Path, tmp_path: Path
) -> None:
    embed(
        outer,
        f'[core]\nbare = false\nfsmonitor = "{program(tmp_path)}"\n',
    )
    tenant = outer / "tenant"
    tenant.mkdir()
    (tenant / "a.yaml").write_text("a: 1\n")
    (tenant / ".git").write_text("gitdir: ../m\n")
    repository = find_repository(str(tenant))
    assert repository is not None
    assert repository.top == str(outer)
    assert commit_of([str(tenant)]) is None
    assert not (tmp_path / "ran").exists()


def test_worktrees_and_submodules_are_repositories_of_their_own(
    outer: Path, tmp_path: Path
) -> None:
    git(outer, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    git(outer, "worktree", "add", "-q", "-b", "inner", str(outer / "inner"))
    allowed = ["-c", "protocol.file.allow=always"]
    git(outer, *allowed, "submodule", "add", "-q", f"file://{outer}", "m/sub")
    for directory in (tmp_path / "side", outer / "inner", outer / "m/sub"):
        repository = open_repository(str(directory / "m"))
        assert repository is not None
        assert repository.top == str(directory)
        assert commit_of([str(directory / "m")]) == head(directory)


def test_a_git_directory_without_a_repository_is_passed_over(outer: Path) -> None:
    (outer / "m/.git").mkdir()
    repository = open_repository(str(outer / "m"))
    assert repository is not None
    assert repository.top == str(outer)
    (outer / "m/.git/HEAD").touch()
    with pytest.raises(GitFailedError):
        open_repository(str(outer / "m"))


@pytest.mark.parametrize("name", ["HEAD", "config", "index", "packed-refs", "info/exclude"])
@pytest.mark.parametrize("kind", ["repository", "worktree"])
def test_a_named_pipe_in_a_repository_is_not_waited_for(
    outer: Path, tmp_path: Path, name: str, kind: str
) -> None:
    directory = outer
    if kind == "worktree":
        git(outer, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
        directory = tmp_path / "side"
    (outer / ".git" / name).unlink(missing_ok=True)
    os.mkfifo(outer / ".git" / name)
    for ask in (open_repository, checked_out):
        with pytest.raises(GitFailedError) as caught:
            ask(str(directory / "m"))
        assert caught.value.cause is not None
        assert f"{Path(name).name} in its .git is a named pipe" in caught.value.cause.sentence
    assert commit_of([str(directory / "m")]) is None


def test_git_is_not_waited_for_if_it_waits_for_a_named_pipe(
    outer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as in place of a branch, or of a file that git reads beside the manifests."""
    repository = open_repository(str(outer))
    assert repository is not None
    assert UnchangedFiles(repository).blobs().keys() == {"m/a.yaml"}
    children_before = children()
    monkeypatch.setattr(process, "_ANSWER_SECONDS", 0.5)
    os.mkfifo(outer / ".gitattributes")
    assert UnchangedFiles(repository).blobs() == {}
    (outer / ".git/refs/heads/main").unlink()
    os.mkfifo(outer / ".git/refs/heads/main")
    with pytest.raises(GitFailedError) as caught:
        checked_out(str(outer / "m"))
    assert caught.value.cause is not None
    assert caught.value.cause.sentence == "git did not answer within 5 minutes"
    assert children() <= children_before


def test_a_blob_is_not_waited_for_if_a_named_pipe_replaced_it(
    outer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (outer / "m/b.yaml").write_text("b: 1\n")
    git(outer, "add", "-A")
    sound, piped = (git(outer, "rev-parse", f":m/{name}.yaml") for name in "ab")
    repository = open_repository(str(outer))
    assert repository is not None
    blobs = read_blobs([sound, piped, sound], repository)
    children_before = children()
    monkeypatch.setattr(process, "_ANSWER_SECONDS", 0.5)
    loose_object = outer / ".git/objects" / piped[:2] / piped[2:]
    loose_object.unlink()
    os.mkfifo(loose_object)
    assert next(blobs) == b"a: 1\n"
    with pytest.raises(GitFailedError) as caught:
        next(blobs)
    assert caught.value.cause is not None
    assert caught.value.cause.sentence == "git did not answer within 5 minutes"
    left_early = read_blobs([sound, piped], repository)
    next(left_early)
    left_early.close()  # type: ignore[attr-defined]
    assert children() <= children_before


def children() -> set[str]:
    """The processes of this one: among them are those of other tests."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def test_a_socket_of_a_file_system_monitor_is_no_fault(
    outer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(outer / ".git")
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.bind("fsmonitor--daemon.ipc")
    (outer / ".git/dangling").symlink_to("nowhere")
    assert commit_of([str(outer / "m")]) == head(outer)


def test_the_search_ends_at_the_users_ceiling(outer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(outer))
    assert find_repository(str(outer / "m")) is None
    assert find_repository(str(outer)) is not None


def test_a_repository_of_another_user_is_refused_unless_it_is_safe(
    outer: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(GitFailedError) as caught:
        open_repository(str(outer))
    assert caught.value.cause is not None
    assert f"Add {outer} to safe.directory" in caught.value.cause.hint
    assert commit_of([str(outer)]) is None
    assert "belongs to another user" in caplog.text
    for name, value in {"COUNT": "1", "KEY_0": "safe.directory", "VALUE_0": str(outer)}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    assert open_repository(str(outer)) is not None


class TestExactness:
    """A commit is named without ``-dirty`` only if the tree is exactly that commit."""

    @pytest.mark.parametrize("bit", ["--assume-unchanged", "--skip-worktree"])
    def test_a_bit_that_hides_changes_makes_the_tree_dirty(self, outer: Path, bit: str) -> None:
        git(outer, "update-index", bit, "m/a.yaml")
        assert commit_of([str(outer / "m")]) == f"{head(outer)}-dirty"

    def test_a_touched_or_copied_file_is_not_dirty(self, outer: Path) -> None:
        os.utime(outer / "m/a.yaml", (1, 1))
        assert commit_of([str(outer / "m")]) == head(outer)
        (outer / "m/a.yaml").write_bytes(b"a: 1\r\n")
        git(outer, "config", "core.autocrlf", "true")
        assert commit_of([str(outer / "m")]) == head(outer)
        (outer / "m/a.yaml").write_text("b: 1\n")
        assert commit_of([str(outer / "m")]) == f"{head(outer)}-dirty"

    def test_a_staged_or_removed_manifest_makes_the_tree_dirty(self, outer: Path) -> None:
        (outer / "m/a.yaml").unlink()
        assert commit_of([str(outer / "m")]) == f"{head(outer)}-dirty"
        git(outer, "rm", "-q", "--cached", "m/a.yaml")
        assert commit_of([str(outer / "m")]) == f"{head(outer)}-dirty"

    def test_manifests_from_elsewhere_make_the_tree_dirty(
        self, outer: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "b.yaml").write_text("b: 1\n")
        assert commit_of([str(outer / "m"), str(tmp_path / "b.yaml")]) == f"{head(outer)}-dirty"
        assert commit_of([str(outer / "m"), "-"]) == f"{head(outer)}-dirty"

    def test_a_link_is_exact_if_what_it_leads_to_is(self, outer: Path, tmp_path: Path) -> None:
        (outer / "other").mkdir()
        (outer / "other/b.yaml").write_text("b: 1\n")
        (outer / "m/link").symlink_to("../other")
        git(outer, "add", "-A")
        git(outer, "commit", "-qm", "link")
        assert commit_of([str(outer / "m")]) == head(outer)
        (outer / "other/b.yaml").write_text("b: 2\n")
        assert commit_of([str(outer / "m")]) == f"{head(outer)}-dirty"
        git(outer, "checkout", "-q", "other")
        (outer / "m/out").symlink_to(tmp_path)
        git(outer, "add", "-A")
        git(outer, "commit", "-qm", "out")
        assert commit_of([str(outer / "m")]) == f"{head(outer)}-dirty"

    def test_a_nested_repository_makes_the_tree_dirty(self, outer: Path) -> None:
        (outer / "m/nested").mkdir()
        git(outer / "m/nested", "init", "-q")
        (outer / "m/nested/b.yaml").write_text("b: 1\n")
        assert commit_of([str(outer / "m")]) == f"{head(outer)}-dirty"

    def test_a_submodule_must_be_at_its_commit_and_clean(self, outer: Path, tmp_path: Path) -> None:
        other = tmp_path / "other"
        other.mkdir()
        git(other, "init", "-q")
        (other / "b.yaml").write_text("b: 1\n")
        git(other, "add", "-A")
        git(other, "commit", "-qm", "b")
        allowed = ["-c", "protocol.file.allow=always"]
        git(outer, *allowed, "submodule", "add", "-q", f"file://{other}", "m/sub")
        git(outer, "config", "-f", ".gitmodules", "submodule.m/sub.ignore", "all")
        git(outer, "add", "-A")
        git(outer, "commit", "-qm", "sub")
        assert commit_of([str(outer / "m")]) == head(outer)
        (outer / "m/sub/b.yaml").write_text("b: 2\n")
        assert commit_of([str(outer / "m")]) == f"{head(outer)}-dirty"
        git(outer / "m/sub", "commit", "-qam", "b2")
        assert commit_of([str(outer / "m")]) == f"{head(outer)}-dirty"
        git(outer, "submodule", "deinit", "-q", "-f", "m/sub")
        assert commit_of([str(outer / "m")]) == f"{head(outer)}-dirty"
