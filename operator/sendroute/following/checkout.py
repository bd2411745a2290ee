"""One commit → a folder of its own, byte for byte, that leads nowhere else."""

import os
from collections.abc import Callable
from pathlib import Path

from sendroute.following.follower import StoppedError
from sendroute.following.state import State, remove
from sendroute.following.walk import walk
from sendroute.git.process import Git
from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError

# Over whatever a repository's own .gitattributes say (gitattributes(5)): what is read is what was
# committed.
_AS_COMMITTED = "* -text -eol -ident -filter -working-tree-encoding\n"


def checkout(
    state: State, git: Git, commit: str, desired: str, should_stop: Callable[[], bool]
) -> tuple[Path, Path]:
    """The commit's folder, and the path wanted in it. A folder that is there by its name is whole:
    it was made under another, and what a crash left was cleared."""
    folder = state.trees / commit
    if not folder.exists():
        _make(state, git, commit, folder, should_stop)
    path = folder / desired
    _check(folder, path, desired, commit, should_stop)
    return folder, path


def _make(
    state: State, git: Git, commit: str, folder: Path, should_stop: Callable[[], bool]
) -> None:
    attributes = state.repository / "info" / "attributes"
    attributes.parent.mkdir(exist_ok=True)
    attributes.write_text(_AS_COMMITTED)
    making = state.trees / f".new-{os.urandom(6).hex()}"
    making.mkdir(mode=0o700)
    index = {"GIT_INDEX_FILE": str(making.with_suffix(".index"))}
    repository = f"--git-dir={state.repository}"
    try:
        git.local([repository, "read-tree", commit], should_stop, index)
        words = [repository, f"--work-tree={making}", "checkout-index", "--all", "--quiet"]
        git.local(words, should_stop, index)
        making.rename(folder)
    finally:
        remove(making)
        for left in state.trees.glob(".new-*.index*"):
            left.unlink(missing_ok=True)


def _check(
    folder: Path, path: Path, desired: str, commit: str, should_stop: Callable[[], bool]
) -> None:
    """Walks as the reader will: all links that it would come by stay in the checkout."""
    top = os.path.realpath(folder)
    if not path.exists() and not path.is_symlink():
        raise ProblemError(
            finding(
                "source-unreachable",
                f"Commit {commit[:12]} has no {ascii(desired)[1:-1]}.",
                hint="Check --path: it is taken from the top of the repository.",
            )
        )
    if not _is_within(top, str(path)):
        raise _leads_out(desired, commit)
    for count, met in enumerate(walk(str(path))):
        if count % 256 == 0 and should_stop():
            raise StoppedError
        if met.link and not _is_within(top, met.path):
            raise _leads_out(os.path.relpath(met.path, folder), commit)


def _is_within(top: str, path: str) -> bool:
    real = os.path.realpath(path)
    return real == top or real.startswith(f"{top}/")


def _leads_out(name: str, commit: str) -> ProblemError:
    return ProblemError(
        finding(
            "source-unreachable",
            f"In commit {commit[:12]} the link {ascii(name)[1:-1]} leads out of the repository.",
            hint="Commit the files that it leads to, or let it lead to some in the repository.",
        )
    )
