"""No edit writes a file behind a link that leads out of the given paths."""

from pathlib import Path

import pytest
from tests.git.test_worktree import git

from .conftest import Program, files_of
from .test_commands import ACME, PLATFORM

EDITS = {
    "a route": ("set-route", "news.example.com", "--unconfigured"),
    "a new domain": ("add-domain", "new.example.com", "--account", "acme"),
    "a new domain in a file": (
        "add-domain", "new.example.com", "--account", "acme", "--file", "m/team/acme.yaml",
    ),
    "a new file": ("add-domain", "new.example.com", "--account", "acme", "--file", "m/team/x.yaml"),
    "a new directory": (
        "add-domain", "new.example.com", "--account", "acme", "--file", "m/team/new/x.yaml",
    ),
    "a deletion": ("delete-domain", "news.example.com"),
}  # fmt: skip


@pytest.fixture
def tree(workdir: Path) -> Path:
    for name, text in {"m/platform.yaml": PLATFORM, "other/acme.yaml": ACME}.items():
        (workdir / name).parent.mkdir(exist_ok=True)
        (workdir / name).write_text(text)
    (workdir / "m/team").symlink_to("../other")
    return workdir


@pytest.mark.parametrize("dry_run", [(), ("--dry-run",)])
@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_behind_a_link_out_of_the_paths_is_refused(
    edit: str, dry_run: tuple[str, ...], sendroute: Program, tree: Path
) -> None:
    before = files_of(tree)
    ran = sendroute("edit", *EDITS[edit], *dry_run, "m")
    assert ran.status == 1, ran
    assert "unwritable" in ran.err
    assert "a symbolic link leads to it, out of the given paths" in ran.err
    assert files_of(tree) == before


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_behind_a_link_to_a_given_path_is_written(
    edit: str, sendroute: Program, tree: Path
) -> None:
    before = files_of(tree)
    ran = sendroute("edit", *EDITS[edit], "m", "other")
    assert ran.status == 0, ran
    assert files_of(tree) != before
    assert (tree / "m/team").is_symlink()


def test_a_file_that_is_a_link_within_the_paths_is_edited(sendroute: Program, tree: Path) -> None:
    (tree / "m/team").unlink()
    (tree / "m/acme.txt").write_text(ACME)
    (tree / "m/acme.yaml").symlink_to("acme.txt")
    assert sendroute("edit", *EDITS["a route"], "m").status == 0
    assert "unconfigured" in (tree / "m/acme.txt").read_text()


def test_a_link_to_a_hidden_file_is_not_edited(sendroute: Program, tree: Path) -> None:
    """What a link to the repository's own directory leads to is not a manifest of the tree."""
    (tree / "m/team").unlink()
    git(tree / "m", "init", "-q")
    (tree / "m/.git/acme").write_text(ACME)
    (tree / "m/acme.yaml").symlink_to(".git/acme")
    assert sendroute("edit", *EDITS["a route"], "m").status == 1
    assert (tree / "m/.git/acme").read_text() == ACME


@pytest.mark.parametrize("given", ["current", "link.yaml"])
def test_a_link_as_the_given_path_is_edited(given: str, sendroute: Program, tree: Path) -> None:
    """It is the user who says what it leads to."""
    (tree / "m/team").unlink()
    (tree / "m/acme.yaml").write_text(ACME)
    (tree / "current").symlink_to("m")
    (tree / "link.yaml").symlink_to("other/acme.yaml")
    paths = [given] if given == "current" else [given, "m/platform.yaml"]
    assert sendroute("edit", *EDITS["a route"], *paths).status == 0
    edited = tree / ("m" if given == "current" else "other") / "acme.yaml"
    assert "unconfigured" in edited.read_text()


def test_elsewhere_in_the_same_repository_is_not_edited(sendroute: Program, tree: Path) -> None:
    git(tree, "init", "-q")
    assert sendroute("edit", *EDITS["a route"], "m").status == 1
    assert (tree / "other/acme.yaml").read_text() == ACME


@pytest.mark.parametrize("edit", ["a route", "a deletion"])
def test_a_file_with_a_hard_link_in_the_paths_is_not_edited(
    edit: str, sendroute: Program, tree: Path
) -> None:
    """A rename would leave the old content under the other name."""
    (tree / "m/team").unlink()
    (tree / "m/acme.yaml").write_text(ACME)
    (tree / "m/again.yaml").hardlink_to(tree / "m/acme.yaml")
    assert sendroute("validate", "m").status == 0
    before = files_of(tree)
    ran = sendroute("edit", *EDITS[edit], "m")
    assert (ran.status, files_of(tree)) == (1, before)
    assert "m/again.yaml is a hard link to it" in ran.err
    assert sendroute("validate", "m").status == 0


def test_a_file_with_a_hard_link_elsewhere_is_edited(sendroute: Program, tree: Path) -> None:
    """A backup, for example. A symbolic link in the paths is no second file either."""
    (tree / "m/team").unlink()
    (tree / "m/acme.yaml").write_text(ACME)
    (tree / "backup.yaml").hardlink_to(tree / "m/acme.yaml")
    (tree / "m/again.yaml").symlink_to("acme.yaml")
    assert sendroute("edit", *EDITS["a route"], "m").status == 0
    assert "unconfigured" in (tree / "m/acme.yaml").read_text()
    assert (tree / "backup.yaml").read_text() == ACME


UNKNOWN = {
    "a profile": ("set-default", "acme", "--profile", "se"),
    "a domain": ("set-route", "new.example.com", "--managed"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_no_name_from_behind_a_link_out_of_the_paths_is_suggested(
    name: str, sendroute: Program, tree: Path
) -> None:
    assert (tree / "m/team").is_symlink()
    ran = sendroute("edit", *UNKNOWN[name], "m")
    assert ran.status == 1
    assert "news.example.com" not in ran.err
    assert "Did you mean" not in ran.err
    assert "Did you mean" in sendroute("edit", *UNKNOWN[name], "m", "other").err
