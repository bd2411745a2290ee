"""What a checkout lacks on purpose: submodules, what a sparse checkout left out, and what symbolic
links lead to where git made files of them. What these hold is unknown, and must not seem to be
removed. git itself is asked only about a submodule at another commit than its repository has."""

import os
import re
from bisect import bisect_left
from collections.abc import Iterator
from enum import Enum
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from sendroute.git.failures import GitFailedError
from sendroute.git.references import head_commit
from sendroute.git.repository import CheckoutTop, Repository, find_checkout, submodule_at
from sendroute.model.manifest_name import is_hidden, is_manifest

if TYPE_CHECKING:
    from sendroute.git.index import IndexEntry

_REGULAR = 0o100000


class MissingReason(Enum):
    """Why a path is not in the checkout."""

    SUBMODULE = "submodule"
    UNFINISHED_SUBMODULE = "unfinished-submodule"
    """git takes it for checked out, but did not finish."""
    OTHER_COMMIT = "other-commit"
    """The submodule is at a commit without the one that its repository has: most likely older."""
    SPARSE = "sparse"
    SKIPPED = "skipped"
    """git is set to skip the file; there is no sparse checkout."""
    LINK = "link"
    """A file holds the target of a symbolic link."""
    UNFINISHED = "unfinished"
    """There is no index, so git did not finish the checkout."""
    UNKNOWN = "unknown"
    """The index cannot be read, so nobody knows what is missing."""
    NO_REPOSITORY = "no-repository"
    """There is no index to read, because the ``.git`` is, or leads to, no repository."""


class MissingPath(NamedTuple):
    """A path that is not in the checkout, relative to the directory that was asked about. ``top``
    is the top of the checkout, and ``within`` what git must check out, from there: a submodule, or
    a directory or a pattern that a sparse checkout leaves out."""

    path: str
    reason: MissingReason
    top: str
    within: str = "."


class MissingPaths:
    """What the checkouts lack that one walk over a tree comes to. However many directories are
    asked about, the index of a repository is read once, and a missing path is returned once."""

    def __init__(self) -> None:
        self._checkouts: dict[str, CheckoutTop] = {}
        self._indexes: dict[Repository, _Index | MissingReason] = {}
        self._returned: set[str] = set()
        self._dead_ends: set[str] = set()

    def below(self, directory: str) -> list[MissingPath]:
        """Find what the checkout that a directory is in lacks below it. Checkouts in it, also those
        of its submodules, are directories to ask about separately.

        Args:
            directory: any directory.

        Returns:
            The highest missing paths, sorted, without those that were returned before; none outside
            a repository.
        """
        real = os.path.realpath(directory)
        missing = []
        for path in sorted(set(self._below(real))):
            key = os.path.normpath(os.path.join(real, path.path))
            if key not in self._returned:
                self._returned.add(key)
                missing.append(path)
        return missing

    def come_to(self, path: str) -> CheckoutTop | None:
        """Find the checkout that a path is in.

        Args:
            path: a file or directory.

        Returns:
            The checkout; None outside a repository.
        """
        checkout = find_checkout(path)
        return None if checkout is None else self._checkouts.setdefault(checkout.top, checkout)

    def checkouts(self) -> list[CheckoutTop]:
        """Find the checkouts that the walk came to, in its order.

        Returns:
            The checkouts, without the submodules of one of them: its commit decides theirs.
        """
        submodules = {
            path
            for index in self._indexes.values()
            if isinstance(index, _Index)
            for path in index.submodules()
        }
        return [checkout for top, checkout in self._checkouts.items() if top not in submodules]

    def _below(self, real: str) -> Iterator[MissingPath]:
        checkout = self.come_to(real)
        if checkout is None:
            return
        repository = checkout.repository
        if repository is None:
            if checkout.top not in self._dead_ends:
                self._dead_ends.add(checkout.top)
                yield MissingPath(".", MissingReason.NO_REPOSITORY, checkout.top)
            return
        is_new = repository not in self._indexes
        if is_new:
            self._indexes[repository] = _read(repository)
        index = self._indexes[repository]
        if isinstance(index, _Index):
            yield from index.missing(real)
        elif is_new:
            yield MissingPath(".", index, checkout.top)


def _read(repository: Repository) -> "_Index | MissingReason":
    # only a repository has an index
    from sendroute.git.index import UnfinishedCheckoutError, entries_to_check, is_cone, is_sparse

    try:
        entries = entries_to_check(repository)
        sparse = any(entry.left_out for entry in entries) and is_sparse(repository)
        cone = sparse and is_cone(repository)
        return _Index(repository.top, entries, is_sparse=sparse, is_cone=cone)
    except UnfinishedCheckoutError:
        return MissingReason.UNFINISHED
    except (OSError, ValueError):
        return MissingReason.UNKNOWN


class _Index:
    """The entries of an index that the checkout may lack, by path."""

    def __init__(
        self, top: str, entries: list["IndexEntry"], *, is_sparse: bool, is_cone: bool
    ) -> None:
        self._top = top
        self._is_cone = is_cone
        self._is_sparse = is_sparse
        self._entries = sorted(entries, key=_path)

    def submodules(self) -> Iterator[str]:
        """The directories of the submodules."""
        return (os.path.join(self._top, item.path) for item in self._entries if item.is_submodule)

    def missing(self, real: str) -> Iterator[MissingPath]:
        """What is missing in a directory of the checkout, or of a submodule of it."""
        within = os.path.relpath(real, self._top)
        for entry in self._around(within):
            if entry.is_directory:
                yield MissingPath(".", MissingReason.SPARSE, self._top, entry.path)
            elif entry.is_submodule and (reason := self._lack_of_submodule(entry)):
                yield MissingPath(".", reason, self._top, entry.path)
        for entry in self._in(within):
            path = os.path.join(self._top, entry.path)
            inner = os.path.relpath(path, real)
            if not _is_read(entry, inner):
                continue
            if entry.is_submodule:
                if reason := self._lack_of_submodule(entry):
                    yield MissingPath(inner, reason, self._top, entry.path)
            elif entry.is_directory:
                yield MissingPath(inner, MissingReason.SPARSE, self._top, entry.path)
            elif entry.left_out:
                if not os.path.lexists(path):
                    yield self._left_out(within, inner, entry)
            elif entry.is_file_of_link(path):
                yield MissingPath(inner, MissingReason.LINK, self._top)

    def _left_out(self, within: str, inner: str, entry: "IndexEntry") -> MissingPath:
        """The file, if there is no sparse checkout. Otherwise the highest directory that is
        missing, or the file: a sparse checkout is made of directories (git-sparse-checkout(1), cone
        mode), and has all files beside the top's; or of patterns as in gitignore(5)."""
        if not self._is_sparse:
            return MissingPath(inner, MissingReason.SKIPPED, self._top, entry.path)
        directory = os.path.join(self._top, within)
        highest = _highest_missing(directory, inner)
        if not self._is_cone:
            path = os.path.normpath(os.path.join(within, highest))
            pattern = "/" + re.sub(r"([*?\[\\])", r"\\\1", path)
            return MissingPath(highest, MissingReason.SPARSE, self._top, pattern)
        to_add = os.path.dirname(inner) if highest == inner else highest
        to_add = os.path.normpath(os.path.join(within, to_add))
        if to_add == ".":
            to_add = f"/{inner}"
        return MissingPath(highest, MissingReason.SPARSE, self._top, to_add)

    def _around(self, within: str) -> Iterator["IndexEntry"]:
        """The entries that the directory is, or is in: there is no other of a file."""
        steps = within.split("/")
        for end in range(1, len(steps) + 1):
            path = "/".join(steps[:end])
            first = bisect_left(self._entries, path, key=_path)
            yield from self._entries[first : bisect_left(self._entries, f"{path}\0", key=_path)]

    def _in(self, within: str) -> list["IndexEntry"]:
        if within == ".":
            return self._entries
        # 0 is the character after the slash.
        first, end = (bisect_left(self._entries, within + sign, key=_path) for sign in "/0")
        return self._entries[first:end]

    def _lack_of_submodule(self, entry: "IndexEntry") -> MissingReason | None:
        """Why a submodule is not checked out as its repository has it; None if it is. Without an
        index its checkout has failed, or did not finish; without a repository it may be a copy."""
        directory = os.path.join(self._top, entry.path)
        submodule = submodule_at(directory)
        if submodule is not None:
            if not os.path.lexists(os.path.join(submodule.git_directory, "index")):
                return MissingReason.UNFINISHED_SUBMODULE
            commit = head_commit(submodule.git_directory)
            is_older = commit not in (None, entry.blob) and not _contains(submodule, entry.blob)
            return MissingReason.OTHER_COMMIT if is_older else None
        try:
            is_empty = all(map(is_hidden, os.listdir(directory)))
        except (FileNotFoundError, NotADirectoryError):
            is_empty = True
        except OSError:  # the walk reports it
            is_empty = False
        return MissingReason.SUBMODULE if is_empty else None


def _contains(submodule: Repository, commit: str) -> bool:
    """Whether the commit of a submodule descends from this one, as after an update to the newest of
    its branch. Only git can say it; a shallow clone may not reach so far."""
    from sendroute.git.tree_history import tree_history

    try:
        history = tree_history(CheckoutTop(submodule.top, submodule))
        return history is not None and history.contains(commit) is not False
    except GitFailedError:
        return False


_path = attrgetter("path")


def _is_read(entry: "IndexEntry", inner: str) -> bool:
    if is_hidden(inner):
        return False
    return entry.mode & 0o170000 != _REGULAR or is_manifest(inner)


def _highest_missing(directory: str, inner: str) -> str:
    while (parent := os.path.dirname(inner)) and not os.path.lexists(
        os.path.join(directory, parent)
    ):
        inner = parent
    return inner
