"""A commit as a directory of files: byte for byte, and without links that leave the repository."""

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sendroute.following.follower import StoppedError
from sendroute.following.state import State, remove
from sendroute.following.walk import walk
from sendroute.git.process import Git
from sendroute.git.revision import parse_entry
from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import Configure, Setting

MAX_FILES = 250_000
MAX_BYTES = 512 << 20
"""What a commit may unfold to: files and directories, and their bytes."""

# Overrides the repository's own .gitattributes (gitattributes(5)): files are read as committed.
_AS_COMMITTED = "* -text -eol -ident -filter -working-tree-encoding\n"


def checkout(
    state: State, git: Git, commit: str, path: str, should_stop: Callable[[], bool]
) -> tuple[Path, Path]:
    """Check out a commit, unless its directory exists. An existing directory is complete: files are
    written to another directory, which is then renamed, and incomplete ones are removed at the
    start.

    Args:
        state: the state directory, which holds the repository.
        git: runs git.
        commit: the commit's object name.
        path: a path from the repository's top; empty for the whole.
        should_stop: checked while the call works.

    Returns:
        The directory of the commit, and ``path`` in it.

    Raises:
        ProblemError: the commit has no such path, or a link in it leads out of the repository
            (``source-unreachable``).
        GitFailedError, StoppedError: as for :meth:`Git.run`.
    """
    directory = state.trees / commit
    if not directory.exists():
        _create(state, git, commit, directory, should_stop)
    full_path = directory / path
    _check_links(directory, full_path, path, commit, should_stop)
    return directory, full_path


def _create(
    state: State, git: Git, commit: str, directory: Path, should_stop: Callable[[], bool]
) -> None:
    attributes = state.repository / "info" / "attributes"
    attributes.parent.mkdir(exist_ok=True)
    attributes.write_text(_AS_COMMITTED)
    new = state.trees / f".new-{os.urandom(6).hex()}"
    new.mkdir(mode=0o700)
    index = {"GIT_INDEX_FILE": str(new.with_suffix(".index"))}
    repository = [f"--git-dir={state.repository}"]
    try:
        _check_size(git, repository, commit, should_stop)
        git.local([*repository, "read-tree", commit], should_stop, index)
        arguments = [*repository, f"--work-tree={new}", "checkout-index", "--all", "--quiet"]
        git.local(arguments, should_stop, index)
        new.rename(directory)
    finally:
        remove(new)
        for leftover in state.trees.glob(".new-*.index*"):
            leftover.unlink(missing_ok=True)


def _check_size(
    git: Git, repository: list[str], commit: str, should_stop: Callable[[], bool]
) -> None:
    """Check how much a commit unfolds to before anything is written: a few blobs and trees that
    share each other may name any number of files."""
    files = size = 0
    listing = [*repository, "ls-tree", "-r", "-t", "-l", "-z", "--full-tree", commit]
    with closing(git.lines(listing, should_stop)) as lines:
        for line in lines:
            files += 1
            size += parse_entry(line).size or 0
            if files > MAX_FILES or size > MAX_BYTES:
                raise ProblemError(
                    finding(
                        "source-too-large",
                        f"Commit {commit[:12]} unfolds to more than {MAX_FILES:,} files or"
                        f" {MAX_BYTES >> 20} MiB.",
                        hint="Look for large or repeated directories in the commit, and push one"
                        " without them. The previous version stays in effect.",
                    )
                )


def _check_links(
    directory: Path, full_path: Path, path: str, commit: str, should_stop: Callable[[], bool]
) -> None:
    """Check that no link that the reader follows leaves the checkout."""
    top = os.path.realpath(directory)
    if not full_path.exists() and not full_path.is_symlink():
        raise ProblemError(
            finding(
                "source-unreachable",
                f"Commit {commit[:12]} has no {ascii(path)[1:-1]}.",
                hint="Set the path relative to the top of the repository.",
                remedy=Configure(Setting.SOURCE_PATH),
            )
        )
    if not _is_within(top, str(full_path)):
        raise _leaves_repository(path, commit)
    for count, visited in enumerate(walk(str(full_path))):
        if count % 256 == 0 and should_stop():
            raise StoppedError
        if visited.link and not _is_within(top, visited.path):
            raise _leaves_repository(os.path.relpath(visited.path, directory), commit)


def _is_within(top: str, path: str) -> bool:
    real = os.path.realpath(path)
    return real == top or real.startswith(f"{top}/")


def _leaves_repository(name: str, commit: str) -> ProblemError:
    return ProblemError(
        finding(
            "source-unreachable",
            f"In commit {commit[:12]} the link {ascii(name)[1:-1]} leads out of the repository.",
            hint="Commit the files that it points to, or point it to files in the repository.",
        )
    )
