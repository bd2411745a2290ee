"""Which commit a tree is at. Git is asked by its own program, and nothing is written."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

# Inside a hook git sets these for its own repository, which need not be the tree's.
_OF_ANOTHER_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
_MANIFESTS = (":(glob)**/*.yaml", ":(glob)**/*.yml", ":(glob)**/*.json")


def commit_of(paths: Sequence[str]) -> str | None:
    """The commit that the first tree under git is at, ``-dirty`` where a manifest of any of them
    has changes that are not committed; None where git knows none of them."""
    trees = [_place(path) for path in paths if path != "-"]
    for folder, _ in trees:
        head = _ask(folder, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        if head is not None:
            dirty = any(
                _ask(folder, "status", "--porcelain", "-z", "--", *specs) for folder, specs in trees
            )
            return head.decode().strip() + ("-dirty" if dirty else "")
    return None


def _place(path: str) -> tuple[str, tuple[str, ...]]:
    """A folder to ask git in, and what of it the path means, as git's pathspecs."""
    real = Path(os.path.realpath(path))
    if real.is_dir():
        return str(real), _MANIFESTS
    return str(real.parent), (f":(literal){real.name}",)


def _ask(folder: str, *words: str) -> bytes | None:
    """What git answers, None where it fails or is not installed."""
    environment = {k: v for k, v in os.environ.items() if k not in _OF_ANOTHER_REPOSITORY}
    # A question must not take the index's lock from a person at work.
    environment["GIT_OPTIONAL_LOCKS"] = "0"
    try:
        done = subprocess.run(
            ["git", "-C", folder, *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
