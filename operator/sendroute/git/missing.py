"""What a checkout lacks on purpose: submodules, what a sparse checkout left out, and what symbolic
links lead to where git made files of them. What these hold is unknown, and must not seem to be
removed. git itself is not asked."""

import os
from bisect import bisect_left
from collections.abc import Iterator
from enum import Enum
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from sendroute.git.repository import Repository, find_checkout, submodule_at
from sendroute.model.manifest_name import ENDINGS, is_hidden

if TYPE_CHECKING:
    from sendroute.git.index import IndexEntry

_REGULAR = 0o100000


class MissingReason(Enum):
    """Why a path is not in the checkout."""

    SUBMODULE = "submodule"
    SPARSE = "sparse"
    LINK = "link"
    """A file holds the target of a symbolic link."""
    UNKNOWN = "unknown"
    """The index cannot be read, so nobody knows what is missing."""
    NO_REPOSITORY = "no-repository"
    """There is no index to read, because the ``.git`` leads to no repository."""


class MissingPath(NamedTuple):
    """A path that is not in the checkout, relative to the directory that was asked about."""

    path: str
    reason: MissingReason


class MissingPaths:
    """What the checkouts lack that one walk over a tree comes to. However many directories are
    asked about, the index of a repository is read once, and a missing path is returned once."""

    def __init__(self) -> None:
        self._indexes: dict[Repository, _Index | None] = {}
        self._returned: set[str] = set()

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

    def _below(self, real: str) -> Iterator[MissingPath]:
        checkout = find_checkout(real)
        if checkout is None:
            return
        repository = checkout.repository
        if repository is None:
            yield MissingPath(".", MissingReason.NO_REPOSITORY)
            return
        is_new = repository not in self._indexes
        index = self._index(repository)
        if index is not None:
            yield from index.missing(real)
        elif is_new:
            yield MissingPath(".", MissingReason.UNKNOWN)

    def _index(self, repository: Repository) -> "_Index | None":
        """None if the index cannot be read."""
        from sendroute.git.index import entries_to_check  # only a repository has an index

        if repository not in self._indexes:
            try:
                index = _Index(repository.top, entries_to_check(repository))
            except (OSError, ValueError):
                index = None
            self._indexes[repository] = index
        return self._indexes[repository]


class _Index:
    """The entries of an index that the checkout may lack, by path."""

    def __init__(self, top: str, entries: list["IndexEntry"]) -> None:
        self._top = top
        self._entries = sorted(entries, key=_path)

    def missing(self, real: str) -> Iterator[MissingPath]:
        """What is missing in a directory of the checkout, or of a submodule of it."""
        within = os.path.relpath(real, self._top)
        for entry in self._around(within):
            if entry.is_directory or (entry.is_submodule and not self._has_submodule(entry)):
                yield MissingPath(".", _reason_of(entry))
        for entry in self._in(within):
            path = os.path.join(self._top, entry.path)
            inner = os.path.relpath(path, real)
            if not _is_read(entry, inner):
                continue
            if entry.is_submodule:
                if not self._has_submodule(entry):
                    yield MissingPath(inner, MissingReason.SUBMODULE)
            elif entry.is_directory:
                yield MissingPath(inner, MissingReason.SPARSE)
            elif entry.left_out:
                if not os.path.lexists(path):
                    yield MissingPath(_highest_missing(real, inner), MissingReason.SPARSE)
            elif entry.is_file_of_link(path):
                yield MissingPath(inner, MissingReason.LINK)

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

    def _has_submodule(self, entry: "IndexEntry") -> bool:
        """Whether a submodule is checked out. Without an index its checkout has failed, or did not
        end; without a repository it may be a copy."""
        directory = os.path.join(self._top, entry.path)
        submodule = submodule_at(directory)
        if submodule is not None:
            return os.path.lexists(os.path.join(submodule.git_directory, "index"))
        try:
            return not all(map(is_hidden, os.listdir(directory)))
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:  # the walk reports it
            return True


_path = attrgetter("path")


def _reason_of(entry: "IndexEntry") -> MissingReason:
    return MissingReason.SUBMODULE if entry.is_submodule else MissingReason.SPARSE


def _is_read(entry: "IndexEntry", inner: str) -> bool:
    if is_hidden(inner):
        return False
    return entry.mode & 0o170000 != _REGULAR or inner.endswith(ENDINGS)


def _highest_missing(directory: str, inner: str) -> str:
    while (parent := os.path.dirname(inner)) and not os.path.lexists(
        os.path.join(directory, parent)
    ):
        inner = parent
    return inner
