"""Facts from real repositories."""

import os
import subprocess
from pathlib import Path

import pytest

from sendroute.cli.git import commit_of, tree_at
from sendroute.model.problem import ProblemError


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


def test_a_base_is_read_without_touching_the_work_tree(repository: Path) -> None:
    (repository / "b.yaml").write_text("b: 1\n")
    (repository / "link.yaml").symlink_to("b.yaml")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "second")
    (repository / "a.yaml").write_text("a: 3\n")
    index = (repository.parent / ".git/index").read_bytes()
    with tree_at("HEAD", [str(repository)]) as (place,):
        assert (Path(place) / "a.yaml").read_text() == "a: 1\n"
        assert (Path(place) / "link.yaml").read_text() == "b: 1\n"
        assert not (Path(place) / "other.yaml").exists()
    assert not Path(place).exists()
    assert (repository / "a.yaml").read_text() == "a: 3\n"
    assert (repository.parent / ".git/index").read_bytes() == index


def test_a_path_that_was_not_there_then_is_left_out(repository: Path) -> None:
    (repository / "b.yaml").write_text("b: 1\n")
    with tree_at("HEAD", [str(repository / "b.yaml"), str(repository / "a.yaml")]) as places:
        assert [os.path.basename(place) for place in places] == ["a.yaml"]  # noqa: PTH119


def test_the_whole_repository_and_names_that_git_would_take_for_patterns(place: Path) -> None:
    git(place, "init", "-q")
    (place / "a[1]*.yaml").write_text("a: 1\n")
    git(place, "add", "-A")
    git(place, "commit", "-qm", "first")
    with tree_at("HEAD", [str(place), str(place / "a[1]*.yaml")]) as (whole, one):
        assert (Path(whole) / "a[1]*.yaml").is_file()
        assert Path(one).is_file()
    assert not str(commit_of([str(place / "a[1]*.yaml")])).endswith("-dirty")


@pytest.mark.parametrize("revision", ["nothing", "--all", "HEAD~7", "-x", ""])
def test_a_revision_that_is_none_is_told(repository: Path, revision: str) -> None:
    with pytest.raises(ProblemError) as told, tree_at(revision, [str(repository)]):
        pass
    assert told.value.findings[0].code == "unreadable"


def test_a_folder_outside_git_is_told(place: Path) -> None:
    with pytest.raises(ProblemError) as told, tree_at("HEAD", [str(place)]):
        pass
    assert "not in a git repository" in told.value.findings[0].message
