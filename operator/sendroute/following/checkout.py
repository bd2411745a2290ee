"""A commit as a directory of files: byte for byte, and without links that leave the repository."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from sendroute.following.follower import StoppedError
from sendroute.following.selection import CommitTree
from sendroute.following.state import StateDirectory, remove
from sendroute.following.walk import walk
from sendroute.git.failures import NO_CHECKOUT, GitFailedError
from sendroute.git.process import MAX_TREE_OUTPUT
from sendroute.git.revision import TreeEntry
from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import Configure, Setting
from sendroute.model.words import short_commit

# Overrides the repository's own .gitattributes (gitattributes(5)): files are read as committed.
_AS_COMMITTED = "* -text -eol -ident -filter -working-tree-encoding\n"


class Checkout(NamedTuple):
    """A commit as a directory: its top, what is read of it, and its submodules, which are empty
    directories."""

    top: Path
    path: Path
    submodules: tuple[Path, ...]


def checkout(
    state: StateDirectory,
    tree: CommitTree,
    path: str,
    names_above: Sequence[str],
) -> Checkout:
    """Check out a part of a commit, unless its directory exists. An existing directory is complete:
    files are written to another directory, which is then renamed, and incomplete ones are removed
    at the start.

    Args:
        state: the state directory, which holds the repository.
        tree: the commit.
        path: a path from the repository's top; empty for the whole.
        names_above: the names of files that are checked out from every directory above it.

    Returns:
        The directory of the commit, and ``path`` in it.

    Raises:
        ProblemError: the commit has no such path, or a link in it leads out of the repository
            (``source-unreachable``), or it is too large (``source-too-large``).
        GitFailedError, StoppedError: as for :meth:`Git.run`.
    """
    entries = tree.select(path, names_above)
    top = state.trees / tree.commit
    if not top.exists():
        _create(state, tree, entries, top)
    _check_links(top, top / path, path, tree.commit, tree.should_stop)
    _check_links_above(top, top / path, names_above, tree.commit)
    submodules = tuple(top / entry.path for entry in entries if entry.kind == "commit")
    return Checkout(top, top / path, submodules)


def _create(
    state: StateDirectory, tree: CommitTree, entries: Sequence[TreeEntry], directory: Path
) -> None:
    attributes = state.repository / "info" / "attributes"
    attributes.parent.mkdir(exist_ok=True)
    attributes.write_text(_AS_COMMITTED)
    new = state.trees / f".new-{os.urandom(6).hex()}"
    new.mkdir(mode=0o700)
    index = {"GIT_INDEX_FILE": str(new.with_suffix(".index"))}
    in_new = tree.in_repository(f"--work-tree={new}")
    listed = b"".join(
        os.fsencode(f"{entry.mode} {entry.kind} {entry.blob}\t{entry.path}\0") for entry in entries
    )
    try:
        fill = [*in_new, "update-index", "-z", "--index-info"]
        tree.git.local(fill, tree.should_stop, index, listed)
        indexed = tree.git.local(
            [*in_new, "ls-files", "-z"], tree.should_stop, index, max_output=MAX_TREE_OUTPUT
        )
        if indexed.count(b"\0") != len(entries):  # git leaves out names that it does not allow
            raise GitFailedError(NO_CHECKOUT)
        write = [*in_new, "checkout-index", "--all", "--quiet"]
        tree.git.local(write, tree.should_stop, index)
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
                f"Commit {short_commit(commit)} has no {ascii(path)[1:-1]}.",
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


def _check_links_above(directory: Path, full_path: Path, names: Sequence[str], commit: str) -> None:
    """Check the same of the files that are read from the directories above. These are those of the
    path as it is and as its links lead, because a reader may look from either."""
    top = os.path.realpath(directory)
    as_given = os.path.relpath(full_path, directory)
    for above in {as_given, os.path.relpath(os.path.realpath(full_path), top)}:
        while above not in ("", "."):
            above = os.path.dirname(above)
            for name in names:
                link = os.path.join(top, above, name)
                if os.path.islink(link) and not _is_within(top, link):
                    raise _leaves_repository(os.path.join(above, name), commit)


def _is_within(top: str, path: str) -> bool:
    real = os.path.realpath(path)
    return real == top or real.startswith(f"{top}/")


def _leaves_repository(name: str, commit: str) -> ProblemError:
    return ProblemError(
        finding(
            "source-unreachable",
            f"In commit {short_commit(commit)} the link {ascii(name)[1:-1]} leads out of the"
            " repository.",
            hint="Commit the files that it points to, or point it to files in the repository.",
        )
    )
