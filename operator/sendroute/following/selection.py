"""What of a commit is checked out: the followed path, what its links lead to, and the lock files
above it. How much that is, is checked before anything is written: a few blobs and trees that share
each other may name any number of files."""

import os
import posixpath
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from sendroute.files.links import MAX_LINKS
from sendroute.git.process import Git
from sendroute.git.revision import TreeEntry, parse_entry
from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import Configure, Setting

_LINK = "120000"  # the mode of a link (git-fast-import(1))
_MAX_TARGET = 4095  # PATH_MAX, without its NUL
_MAX_ARGUMENTS = 100_000
"""Bytes of the paths that git is asked for at once, far below ARG_MAX (execve(2))."""


class TreeLimits(NamedTuple):
    """How much of a commit is checked out at most: files and directories, and bytes."""

    files: int = 250_000
    size: int = 512 << 20


class CommitTree(NamedTuple):
    """The tree of a commit in our own repository."""

    git: Git
    repository: Path
    commit: str
    limits: TreeLimits
    should_stop: Callable[[], bool]

    def in_repository(self, *arguments: str) -> list[str]:
        """The arguments of git for a command in the repository."""
        return [f"--git-dir={self.repository}", *arguments]

    def select(self, path: str, names_above: Sequence[str]) -> list[TreeEntry]:
        """Find the files, links and submodules to check out.

        Args:
            path: a path from the top of the tree; empty for the whole.
            names_above: the names of files that are checked out from every directory above it.

        Returns:
            The entries. Where links lead to too many places, all of the commit.

        Raises:
            ProblemError: they are more than the limits allow (``source-too-large``).
            GitFailedError, StoppedError: as for :meth:`Git.local`.
        """
        parts = {_normal(path)}
        for _ in range(MAX_LINKS):
            above = _above(parts, names_above)
            if sum(len(os.fsencode(name)) + 1 for name in (*parts, *above)) > _MAX_ARGUMENTS:
                break
            entries = self._listed(parts, above)
            targets = set(self._targets(entries, parts))
            missing = {target for target in targets if not _is_within(target, parts)}
            if not missing:
                return entries
            parts |= missing
        return self._listed({""}, set())

    def _listed(self, parts: set[str], above: set[str]) -> list[TreeEntry]:
        """The entries in some parts of the tree, and the links and files above them."""
        entries = {}
        size = 0
        for files, entry in enumerate(self._found(parts, above), start=1):
            size += entry.size or 0
            if files > self.limits.files:
                raise self._too_large(f"{self.limits.files:,} files", Setting.TREE_FILES)
            if size > self.limits.size:
                raise self._too_large(f"{self.limits.size / (1 << 20):g} MiB", Setting.TREE_SIZE)
            if entry.kind != "tree":
                entries[entry.path] = entry
        return list(entries.values())

    def _found(self, parts: set[str], above: set[str]) -> Iterator[TreeEntry]:
        yield from self._ls_tree(["-r"], () if "" in parts else parts)
        if above:
            for entry in self._ls_tree([], above):
                if entry.path in above and entry.kind != "tree":
                    yield entry

    def _ls_tree(self, options: Sequence[str], paths: Iterable[str]) -> Iterator[TreeEntry]:
        command = self.in_repository("--literal-pathspecs", "ls-tree", "-t", "-l", "-z", *options)
        command += ["--full-tree", self.commit, "--", *paths]
        with closing(self.git.lines(command, self.should_stop)) as lines:
            yield from map(parse_entry, lines)

    def _targets(self, entries: Sequence[TreeEntry], parts: set[str]) -> Iterator[str]:
        """Where links lead to, as paths from the top of the tree."""
        links = [e for e in entries if e.mode == _LINK and (e.size or 0) <= _MAX_TARGET]
        contents = self._contents(sorted({link.blob for link in links}))
        for link in links:
            target = posixpath.join(posixpath.dirname(link.path), contents[link.blob])
            inner = {part[len(link.path) :] for part in parts if part.startswith(f"{link.path}/")}
            for remainder in inner or {""}:
                path = _normal(target + remainder)
                if not path.startswith(("/", "../")) and path != ".." and "\0" not in path:
                    yield path

    def _contents(self, blobs: Sequence[str]) -> dict[str, str]:
        if not blobs:
            return {}
        names = "".join(f"{blob}\n" for blob in blobs).encode()
        command = self.in_repository("cat-file", "--batch")
        data = self.git.local(command, self.should_stop, stdin=names)
        contents, at = {}, 0
        for blob in blobs:  # each after a line that ends with its size (git-cat-file(1))
            start = data.index(b"\n", at) + 1
            end = start + int(data[at:start].split()[-1])
            contents[blob] = os.fsdecode(data[start:end])
            at = end + 1
        return contents

    def _too_large(self, limit: str, setting: Setting) -> ProblemError:
        return ProblemError(
            finding(
                "source-too-large",
                f"Commit {self.commit[:12]} unfolds to more than {limit}.",
                hint="Look for large or repeated directories in the commit, and push one without"
                " them, or raise the limit.",
                remedy=Configure(setting),
            )
        )


def _normal(path: str) -> str:
    normal = posixpath.normpath(path)
    return "" if normal == "." else normal


def _directories(path: str) -> Iterator[str]:
    """The directories above a path, without the top."""
    while path := posixpath.dirname(path):
        yield path


def _above(parts: set[str], names: Sequence[str]) -> set[str]:
    """The paths above some parts that matter: directories, which may be links, and named files."""
    directories = {directory for part in parts for directory in _directories(part)}
    tops = set() if "" in parts else {""}
    files = {posixpath.join(top, name) for top in directories | tops for name in names}
    return directories | files


def _is_within(path: str, parts: set[str]) -> bool:
    return "" in parts or path in parts or any(above in parts for above in _directories(path))
