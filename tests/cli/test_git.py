"""Facts from real repositories."""

import subprocess
from pathlib import Path

import pytest

from sendroute.cli.git import commit_of


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=T", "-c", "user.email=t@t.example", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(place: Path) -> Path:
    git(place, "init", "-q", "-b", "main")
    folder = place / "mail"
    folder.mkdir()
    (folder / "a.yaml").write_text("a: 1\n")
    (place / "other.yaml").write_text("b: 1\n")
    git(place, "add", "-A")
    git(place, "commit", "-qm", "first")
    return folder


def test_a_clean_tree_is_at_its_commit(repository: Path) -> None:
    assert commit_of([str(repository)]) == git(repository, "rev-parse", "HEAD")
    assert commit_of([str(repository / "a.yaml")]) == git(repository, "rev-parse", "HEAD")


def test_a_changed_or_new_manifest_makes_it_dirty(repository: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    (repository / "new.yaml").write_text("c: 1\n")
    assert commit_of([str(repository)]) == f"{head}-dirty"
    (repository / "new.yaml").unlink()
    (repository / "a.yaml").write_text("a: 2\n")
    assert commit_of([str(repository)]) == f"{head}-dirty"
    assert commit_of([str(repository / "a.yaml")]) == f"{head}-dirty"


def test_what_is_no_manifest_or_outside_the_paths_does_not(repository: Path) -> None:
    (repository.parent / "other.yaml").write_text("b: 2\n")
    (repository / "sendroute.db").write_text("")
    assert commit_of([str(repository)]) == git(repository, "rev-parse", "HEAD")


def test_without_git_or_a_commit_there_is_none(place: Path) -> None:
    assert commit_of([str(place)]) is None
    assert commit_of(["-"]) is None
    git(place, "init", "-q")
    assert commit_of([str(place)]) is None


def test_a_hook_of_another_repository_does_not_mislead(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = git(repository, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    assert commit_of([str(repository)]) == head
