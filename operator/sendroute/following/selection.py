"""What of a commit is checked out: the followed path, what its links lead to, and the lock files
above it. How much that is, is checked before anything is written: a few blobs and trees that share
each other may name any number of files."""

import os
import posixpath
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from sendroute.files.links import MAX_LINKS
from sendroute.git.index import MAX_TARGET
from sendroute.git.process import MAX_TREE_OUTPUT, Git
from sendroute.git.revision import TreeEntry, parse_entry
from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import Configure, Setting
from sendroute.model.words import short_commit

_LINK = "120000"  # the mode of a link (git-fast-import(1))
_MAX_ARGUMENTS = 100_000
"""Bytes of the paths that git is asked for at once, far below ARG_MAX (execve(2)). It also bounds
the directories above the parts: one target of 4 KB may name 2,000 of them."""
_MAX_TARGETS = 8 << 20
"""Bytes of the targets that are followed at once: no limit counts what more of them cost."""


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
            The entries. If links lead to too many paths, all of the commit.

        Raises:
            ProblemError: they are more than the limits allow (``source-too-large``).
            GitFailedError, StoppedError: as for :meth:`Git.local`.
        """
        parts = {_normal(path)}
        for _ in range(MAX_LINKS):
            above = _above(parts, names_above)
            if above is None:
                break
            entries = self._listed(parts, above)
            links = [e for e in entries if e.mode == _LINK and (e.size or 0) <= MAX_TARGET]
            if sum(link.size or 0 for link in links) > _MAX_TARGETS:
                break
            depth = max(part.count("/") + 1 for part in parts)
            targets = set(self._targets(links, parts))
            missing = {target for target in targets if not _is_within(target, parts, depth)}
            if not missing:
                return entries
            parts |= missing
        return self._listed({""}, set())

    def _listed(self, parts: set[str], above: set[str]) -> list[TreeEntry]:
        """The entries in some parts of the tree, and the links and files above them."""
        entries = {}
        size = 0
        for files, entry in enumerate(self._entries_of(parts, above), start=1):
            size += entry.size or 0
            if files > self.limits.files:
                raise self._too_large(f"{self.limits.files:,} files", Setting.TREE_FILES)
            if size > self.limits.size:
                raise self._too_large(f"{self.limits.size / (1 << 20):g} MiB", Setting.TREE_SIZE)
            if entry.kind != "tree":
                entries[entry.path] = entry
        return list(entries.values())

    def _entries_of(self, parts: set[str], above: set[str]) -> Iterator[TreeEntry]:
        yield from self._ls_tree(["-r"], () if "" in parts else parts)
        if above:
            for entry in self._ls_tree([], above):
                if entry.path in above and entry.kind != "tree":
                    yield entry

    def _ls_tree(self, options: Sequence[str], paths: Iterable[str]) -> Iterator[TreeEntry]:
        command = self.in_repository("--literal-pathspecs", "ls-tree", "-t", "-l", "-z", *options)
        command += ["--full-tree", self.commit, "--", *paths]
        seen: set[str] = set()
        with closing(self.git.lines(command, self.should_stop)) as lines:
            for entry in map(parse_entry, lines):
                self._check_name(entry.path, seen)
                seen.add(entry.path)
                yield entry

    def _check_name(self, path: str, seen: set[str]) -> None:
        """Refuse what git never writes, and would unfold in one way of several. ``seen`` are the
        paths before: each directory is listed before what is in it. The words in brackets are those
        of git-fsck(1)."""
        directory, name = posixpath.split(path)
        if path in seen:
            problem = "two entries with the name"
            word = "duplicateEntries"
        elif name in ("", ".", "..") or name.lower() == ".git":
            problem = "an entry with the name"
            word = {".": "hasDot", "..": "hasDotdot"}.get(name, "hasDotgit")
        elif directory and directory not in seen:
            problem = "an entry with a slash in its name,"
            word = "fullPathname"
        else:
            return
        raise ProblemError(
            finding(
                "source-unreachable",
                f"Commit {short_commit(self.commit)} cannot be checked out: it has {problem}"
                f" {ascii(path)[1:-1]} ({word}).",
                hint="git itself writes no such commit. Push one without this entry.",
            )
        )

    def _targets(self, links: Sequence[TreeEntry], parts: set[str]) -> Iterator[str]:
        """Where links lead to, as paths from the top of the tree."""
        contents = self._contents(sorted({link.blob for link in links}))
        below = defaultdict(set)  # directory → what the parts name in it
        for part in parts:
            for directory in _directories(part):
                below[directory].add(part[len(directory) :])
        for link in links:
            target = posixpath.join(posixpath.dirname(link.path), contents[link.blob])
            for remainder in below.get(link.path, {""}):
                path = _normal(target + remainder)
                if not path.startswith(("/", "../")) and path != ".." and "\0" not in path:
                    yield path

    def _contents(self, blobs: Sequence[str]) -> dict[str, str]:
        if not blobs:
            return {}
        names = "".join(f"{blob}\n" for blob in blobs).encode()
        command = self.in_repository("cat-file", "--batch")
        data = self.git.local(command, self.should_stop, stdin=names, max_output=MAX_TREE_OUTPUT)
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
                f"Commit {short_commit(self.commit)} unfolds to more than {limit}.",
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


def _above(parts: set[str], names: Sequence[str]) -> set[str] | None:
    """The paths above some parts that matter: directories, which may be links, and named files.

    Returns:
        None if they and the parts are too many to ask for at once.
    """
    size = sum(len(os.fsencode(part)) + 1 for part in parts)
    above: set[str] = set()
    for top in _tops(parts):
        for path in (top, *(posixpath.join(top, name) for name in names)):
            if path and path not in above:
                size += len(os.fsencode(path)) + 1
                above.add(path)
        if size > _MAX_ARGUMENTS:
            return None
    return above if size <= _MAX_ARGUMENTS else None


def _tops(parts: set[str]) -> Iterator[str]:
    """The directories above some parts, with the top of the tree."""
    if "" not in parts:
        yield ""
    for part in parts:
        yield from _directories(part)


def _is_within(path: str, parts: set[str], depth: int) -> bool:
    """Whether a path is one of the parts, none of which is deeper, or below one."""
    names = path.split("/", depth)[:depth]
    return "" in parts or any(prefix in parts for prefix in accumulate(names, posixpath.join))
