"""The user's working tree: its root, the commit that it is at, and which files are as committed."""

import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path

from sendroute.git.process import output, start

# The files that reading a directory takes: names that begin with a dot are skipped.
_MANIFESTS = (
    *(f":(glob)**/*.{ending}" for ending in ("yaml", "yml", "json")),
    *(":(exclude,glob)**/.*", ":(exclude,glob)**/.*/**"),
)
# Independent of the user's settings: a manifest that is in no commit makes the tree dirty, also one
# that .gitignore excludes, because it is applied too.
_STATUS = ("status", "--porcelain", "-z", "--untracked-files=all", "--ignored=traditional")

# Files that git changes when it checks them out differ on disk from their blob (gitattributes(5));
# line endings alone make no difference to YAML.
_UNFILTERED = ":(top,attr:!filter !ident !working-tree-encoding)"
# One entry of `git ls-files -s -v -z`. The groups, blob and path, match only for a regular file
# (mode 100644 or 100755: no link, no submodule) that is not in conflict (stage 0) and that git
# compares (tag H).
_LISTED = re.compile(r"(?:H 100[0-9]{3} ([0-9a-f]+) 0\t([^\0]+)|[^\0]*)\0")
# A repository may be set to compare less, for speed or for unusual file systems (git-config(1)).
_COMPARE_FULLY = ("-c", "core.checkStat=default", "-c", "core.trustctime=true")

_log = logging.getLogger(__name__)


def toplevel(directory: str) -> str | None:
    """Find the root of the working tree that a directory is in (git-rev-parse(1),
    ``--show-toplevel``).

    Args:
        directory: any directory.

    Returns:
        The absolute path of the root; None if the directory is in no working tree, or git is not
        installed.
    """
    printed = output(["rev-parse", "--show-toplevel"], directory)
    return os.fsdecode(printed.removesuffix(b"\n")) if printed else None


def commit_of(paths: Sequence[str]) -> str | None:
    """Find the commit that manifests are at.

    Args:
        paths: files and directories; ``-`` (standard input) is ignored.

    Returns:
        The commit of the first path that is in a repository, with ``-dirty`` appended if a manifest
        under any of the paths differs from its commit. None if git reports no commit; a warning is
        logged if there is a repository.
    """
    trees = [_pathspecs(path) for path in paths if path != "-"]
    for directory, _ in trees:
        head = output(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"], directory)
        if head is not None:
            dirty = any(output([*_STATUS, "--", *specs], top) for top, specs in trees)
            return head.decode().strip() + ("-dirty" if dirty else "")
    for path in (Path(directory) for directory, _ in trees):
        if any(os.path.lexists(parent / ".git") for parent in (path, *path.parents)):
            # git is not installed, the repository has no commit yet, or it belongs to another user
            # and is not in safe.directory, as in many CI containers.
            _log.warning(
                "The commit is not recorded: git does not report it. Run: git -C %s rev-parse HEAD",
                path,
            )
            break
    return None


class UnchangedFiles:
    """The files of a working tree that are as committed. git starts at once and works while the
    caller does something else."""

    def __init__(self, top: str) -> None:
        self.top = top
        self._listing = start(["ls-files", "-s", "-v", "-z", "--", _UNFILTERED], top)
        changed = ["diff-files", "--name-only", "--ignore-submodules", "-z"]
        self._changed = start([*_COMPARE_FULLY, *changed], top)

    def blobs(self) -> dict[str, str]:
        """Wait for git.

        Returns:
            The blob by path of every regular file whose bytes are those of the index; nothing if
            git fails.
        """
        with self._changed as changed, self._listing as listing:
            listed, _ = listing.communicate()
            dirty, _ = changed.communicate()
        if listing.returncode or changed.returncode:
            return {}
        blobs = {path: blob for blob, path in _LISTED.findall(os.fsdecode(listed))}
        for path in os.fsdecode(dirty).split("\0"):
            blobs.pop(path, None)
        return blobs


def _pathspecs(path: str) -> tuple[str, tuple[str, ...]]:
    """The directory to run git in, and the pathspecs of the manifests in a path."""
    real = Path(os.path.realpath(path))
    if os.path.isdir(real):  # pathlib raises for what it may not enter
        return str(real), _MANIFESTS
    return str(real.parent), (f":(literal){real.name}",)
