"""Which commit a tree is at. Git is asked by its own program, and nothing is written."""

import logging
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sendroute.manifests.git import OF_A_HOOK

# What a folder is read for: names that begin with a dot are passed over.
_MANIFESTS = (
    *(f":(glob)**/*.{ending}" for ending in ("yaml", "yml", "json")),
    *(":(exclude,glob)**/.*", ":(exclude,glob)**/.*/**"),
)
# Whatever a person's git is set to show: a manifest that no commit holds makes the tree dirty,
# also one that .gitignore names, for it is applied all the same.
_STATUS = ("status", "--porcelain", "-z", "--untracked-files=all", "--ignored=traditional")

_log = logging.getLogger(__name__)


def commit_of(paths: Sequence[str]) -> str | None:
    """The commit that the first tree under git is at, ``-dirty`` where a manifest of any of them
    is not as a commit has it; None, with a warning where a repository is there, where git does
    not say."""
    trees = [_place(path) for path in paths if path != "-"]
    for folder, _ in trees:
        head = _ask(folder, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        if head is not None:
            dirty = any(_ask(folder, *_STATUS, "--", *specs) for folder, specs in trees)
            return head.decode().strip() + ("-dirty" if dirty else "")
    for place in (Path(folder) for folder, _ in trees):
        if any((above / ".git").exists() for above in (place, *place.parents)):
            # Git is not installed, the repository has no commit yet, or it is another user's and
            # not in safe.directory, as in many CI containers.
            _log.warning(
                "The commit is not recorded: git does not say it. See: git -C %s rev-parse HEAD",
                place,
            )
            break
    return None


def _place(path: str) -> tuple[str, tuple[str, ...]]:
    """A folder to ask git in, and what of it the path means, as git's pathspecs."""
    real = Path(os.path.realpath(path))
    if real.is_dir():
        return str(real), _MANIFESTS
    return str(real.parent), (f":(literal){real.name}",)


def _ask(folder: str, *words: str) -> bytes | None:
    """What git answers, None where it fails or is not installed."""
    environment = {k: v for k, v in os.environ.items() if k not in OF_A_HOOK}
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
