"""A commit as a directory of files: byte for byte, and without links that leave the repository."""

import os
from collections.abc import Callable
from pathlib import Path

from sendroute.following.follower import StoppedError
from sendroute.following.state import State, remove
from sendroute.following.walk import walk
from sendroute.git.process import Git
from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import Configure, Setting

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
        git.local([*repository, "read-tree", commit], should_stop, index)
        arguments = [*repository, f"--work-tree={new}", "checkout-index", "--all", "--quiet"]
        git.local(arguments, should_stop, index)
        new.rename(directory)
    finally:
        remove(new)
        for leftover in state.trees.glob(".new-*.index*"):
            leftover.unlink(missing_ok=True)


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
