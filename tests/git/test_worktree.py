"""The commit of a working tree, in real repositories."""

import subprocess
from pathlib import Path

import pytest

from sendroute.git.worktree import commit_of


def git(directory: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=T", "-c", "user.email=t@t.example", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=directory, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    directory = tmp_path / "mail"
    directory.mkdir()
    (directory / "a.yaml").write_text("a: 1\n")
    (tmp_path / "other.yaml").write_text("b: 1\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    return directory


def test_a_clean_tree_reports_its_commit(repository: Path) -> None:
    assert commit_of([str(repository)]) == git(repository, "rev-parse", "HEAD")
    assert commit_of([str(repository / "a.yaml")]) == git(repository, "rev-parse", "HEAD")


def test_a_changed_or_new_manifest_makes_the_tree_dirty(repository: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    for name in ("new.yaml", "new.YML"):
        (repository / name).write_text("c: 1\n")
        assert commit_of([str(repository)]) == f"{head}-dirty"
        (repository / name).unlink()
    (repository / "a.yaml").write_text("a: 2\n")
    assert commit_of([str(repository)]) == f"{head}-dirty"
    assert commit_of([str(repository / "a.yaml")]) == f"{head}-dirty"


@pytest.mark.parametrize("setting", ["all", "no"])
def test_a_manifest_that_git_status_hides_makes_the_tree_dirty(
    repository: Path, setting: str
) -> None:
    head = git(repository, "rev-parse", "HEAD")
    git(repository, "config", "status.showUntrackedFiles", setting)
    (repository / ".hidden-is-skipped.yaml").write_text("d: 1\n")
    (repository.parent / ".git/info/exclude").write_text("ignored.yaml\n*.txt\n")
    (repository / "notes.txt").write_text("")
    assert commit_of([str(repository)]) == head, "neither file is a manifest that Sendroute reads"
    (repository / "ignored.yaml").write_text("c: 1\n")
    assert commit_of([str(repository)]) == f"{head}-dirty"
    assert commit_of([str(repository / "ignored.yaml")]) == f"{head}-dirty"


def test_an_unknown_commit_of_a_repository_is_logged(
    repository: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert commit_of([str(repository)]) is not None
    assert not caplog.records
    monkeypatch.setenv("PATH", "/nowhere")
    assert commit_of([str(repository)]) is None
    assert "The commit is not recorded" in caplog.text


def test_other_files_do_not_make_the_tree_dirty(repository: Path) -> None:
    (repository.parent / "other.yaml").write_text("b: 2\n")
    (repository / "sendroute.db").write_text("")
    assert commit_of([str(repository)]) == git(repository, "rev-parse", "HEAD")


def test_without_a_repository_or_a_commit_the_result_is_none(tmp_path: Path) -> None:
    assert commit_of([str(tmp_path)]) is None
    assert commit_of(["-"]) is None
    git(tmp_path, "init", "-q")
    assert commit_of([str(tmp_path)]) is None


def test_variables_of_a_git_hook_are_ignored(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = git(repository, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    assert commit_of([str(repository)]) == head
