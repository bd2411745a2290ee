"""What a checkout lacks on purpose."""

from pathlib import Path

import pytest

from sendroute.git.missing import MissingPaths, MissingReason

from .test_worktree import git


def missing_from(directory: Path | str) -> list[tuple[str, MissingReason]]:
    """The path and the reason of what is missing."""
    return [(part.path, part.reason) for part in MissingPaths().below(str(directory))]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of a repository with a submodule in ``m/sub``, and ``m/t/b.yaml``."""
    origin = tmp_path / "origin"
    (origin / "m/t").mkdir(parents=True)
    git(origin, "init", "-q", "-b", "main")
    (origin / "m/a.yaml").write_text("a: 1\n")
    (origin / "m/t/b.yaml").write_text("b: 1\n")
    git(origin, "add", "-A")
    git(origin, "commit", "-qm", "first")
    allowed = ["-c", "protocol.file.allow=always"]
    git(origin, *allowed, "submodule", "add", "-q", f"file://{origin}", "m/sub")
    git(origin, "commit", "-qm", "sub")
    git(tmp_path, "clone", "-q", str(origin), "clone")
    return tmp_path / "clone"


def test_a_submodule_that_is_not_checked_out_is_missing(clone: Path) -> None:
    assert missing_from(str(clone / "m")) == [("sub", MissingReason.SUBMODULE)]
    assert missing_from(str(clone / "m/sub")) == [(".", MissingReason.SUBMODULE)]
    assert missing_from(str(clone / "m/t")) == []
    git(clone, "-c", "protocol.file.allow=always", "submodule", "update", "-q", "--init")
    assert missing_from(str(clone)) == []
    (clone / "m/sub/m/a.yaml").unlink()
    assert missing_from(str(clone)) == []


@pytest.mark.parametrize("head", ["detached", "branch", "packed branch"])
def test_a_submodule_without_the_commit_of_its_repository_may_lack_anything(
    clone: Path, head: str
) -> None:
    """After a pull without an update of the submodules."""
    git(clone, "-c", "protocol.file.allow=always", "submodule", "update", "-q", "--init")
    sub = clone / "m/sub"
    if head != "detached":
        git(sub, "checkout", "-q", "-b", "work")
    git(sub, "commit", "-q", "--allow-empty", "-m", "newer")
    assert missing_from(clone) == [], "it contains the commit of its repository"
    git(sub, "reset", "-q", "--hard", "HEAD~1")
    git(sub, "commit", "-q", "--allow-empty", "--amend", "-m", "another")
    if head == "packed branch":
        git(sub, "pack-refs", "--all")
    assert missing_from(clone) == [("m/sub", MissingReason.OTHER_COMMIT)]
    assert missing_from(clone / "m/t") == []
    git(clone, "add", "m/sub")
    assert missing_from(clone) == []


@pytest.mark.parametrize("version", ["2", "4"])
def test_what_a_sparse_checkout_left_out_is_missing(clone: Path, version: str) -> None:
    git(clone, "rm", "-q", "m/sub")
    git(clone, "config", "index.version", version)
    git(clone, "sparse-checkout", "set", "--no-cone", "/*", "!/m/t/")
    assert missing_from(str(clone)) == [("m/t", MissingReason.SPARSE)]
    git(clone, "sparse-checkout", "disable")
    assert missing_from(str(clone)) == []


def test_a_manifest_with_an_ending_in_capitals_may_be_missing(clone: Path) -> None:
    for name in ("m/t/c.YAML", "m/t/notes.TXT"):
        (clone / name).write_text("c: 1\n")
    git(clone, "rm", "-q", "m/sub")
    git(clone, "add", "-A")
    for name in ("m/t/c.YAML", "m/t/notes.TXT"):
        git(clone, "update-index", "--skip-worktree", name)
        (clone / name).unlink()
    assert missing_from(str(clone)) == [("m/t/c.YAML", MissingReason.SKIPPED)]


def test_a_file_that_git_skips_is_left_out_by_no_sparse_checkout(clone: Path) -> None:
    git(clone, "rm", "-q", "m/sub")
    git(clone, "update-index", "--skip-worktree", "m/t/b.yaml")
    assert missing_from(str(clone)) == []
    (clone / "m/t/b.yaml").unlink()
    assert missing_from(str(clone)) == [("m/t/b.yaml", MissingReason.SKIPPED)]
    (clone / "m/t").rmdir()
    git(clone, "config", "core.sparseCheckoutCone", "true")
    git(clone, "config", "core.sparseCheckout", "false")
    assert missing_from(str(clone)) == [("m/t/b.yaml", MissingReason.SKIPPED)]
    git(clone, "config", "core.sparseCheckout", "true")
    assert missing_from(str(clone)) == [("m/t", MissingReason.SPARSE)]


def test_an_index_that_cannot_be_parsed_is_reported(clone: Path) -> None:
    (clone / ".git/index").write_bytes(b"DIRC\0\0\0\2")
    assert missing_from(str(clone / "m")) == [(".", MissingReason.UNKNOWN)]


def test_a_path_that_no_file_system_takes_is_damage(clone: Path) -> None:
    index = clone / ".git/index"
    index.write_bytes(index.read_bytes().replace(b"m/sub\0", b"m\0sub\0"))
    assert missing_from(str(clone / "m")) == [(".", MissingReason.UNKNOWN)]


@pytest.mark.parametrize("version", ["2", "4"])
@pytest.mark.parametrize("name", ["m/news.yaml", "m/shared"])
def test_a_link_that_was_checked_out_as_a_file_is_missing(
    clone: Path, tmp_path: Path, version: str, name: str
) -> None:
    (clone / name).symlink_to("../elsewhere")
    git(clone, "add", "-A")
    git(clone, "commit", "-qm", "link")
    config = ["-c", "core.symlinks=false", "-c", f"index.version={version}"]
    git(tmp_path, *config, "clone", "-q", str(clone), "copy")
    copy = tmp_path / "copy"
    git(copy, "rm", "-q", "m/sub")
    assert missing_from(str(copy)) == [(name, MissingReason.LINK)]
    (copy / name).write_text("a: 1\n")  # a file in its place is read
    assert missing_from(str(copy)) == []
    (copy / name).unlink()
    (copy / name).symlink_to("../elsewhere")
    assert missing_from(str(copy)) == []


def test_a_checkout_that_did_not_end_may_lack_anything(clone: Path, tmp_path: Path) -> None:
    """A full disk, or a submodule whose commit was not pushed: git wrote no index."""
    git(clone, "-c", "protocol.file.allow=always", "submodule", "update", "-q", "--init")
    (clone / ".git/modules/m/sub/index").unlink()
    assert missing_from(str(clone)) == [("m/sub", MissingReason.UNFINISHED_SUBMODULE)]
    (clone / ".git/index").unlink()
    assert missing_from(str(clone / "m/t")) == [(".", MissingReason.UNFINISHED)]
    git(clone, "pack-refs", "--all")
    assert missing_from(str(clone)) == [(".", MissingReason.UNFINISHED)]
    new = tmp_path / "new"
    new.mkdir()
    git(new, "init", "-q")
    assert missing_from(str(new)) == [], "there is no commit yet"


@pytest.mark.parametrize("name", ["index", "config"])
def test_a_file_of_the_repository_that_has_no_end_is_not_read(clone: Path, name: str) -> None:
    (clone / ".git" / name).unlink()
    (clone / ".git" / name).symlink_to("/dev/zero")
    assert missing_from(str(clone)) == [(".", MissingReason.UNKNOWN)]


def test_a_remote_named_after_a_hash_is_no_hash(clone: Path) -> None:
    git(clone, "remote", "add", "other", "https://host.example/sha256-tools/mail.git")
    assert missing_from(str(clone)) == [("m/sub", MissingReason.SUBMODULE)]
