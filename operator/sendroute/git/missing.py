"""What the checkout of a directory lacks on purpose: submodules, what a sparse checkout left out,
and what symbolic links lead to where git made files of them. What these hold is unknown, and must
not seem to be removed."""

import os
from collections.abc import Iterator
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from sendroute.git.repository import Repository, find_repository, submodule_at
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


class MissingPath(NamedTuple):
    """A path that is not in the checkout, relative to the directory that was asked about."""

    path: str
    reason: MissingReason


def missing_from(directory: str) -> list[MissingPath]:
    """Find what the checkout of a directory lacks. git is asked only for an index in two files, and
    only if it accepts the repository.

    Args:
        directory: any directory.

    Returns:
        The highest missing paths, sorted; none outside a repository.
    """
    real = os.path.realpath(directory)
    repository = find_repository(real)
    if repository is None:
        return []
    return sorted(set(_missing(repository, real)))


def _missing(repository: Repository, real: str) -> Iterator[MissingPath]:
    # only a repository has an index
    from sendroute.git.index import entries_to_check, is_checked_out

    try:
        entries = entries_to_check(repository)
    except (OSError, ValueError):
        yield MissingPath(".", MissingReason.UNKNOWN)
        return
    for entry in entries:
        path = os.path.join(repository.top, entry.path.rstrip("/"))
        inner = os.path.relpath(path, real)
        if inner.startswith("../") or inner == "..":
            if not entry.is_submodule or not real.startswith(f"{path}/"):
                continue
            inner = "."  # the directory is in the submodule
        if not _is_read(entry, inner):
            continue
        if entry.is_submodule:
            submodule = submodule_at(path)
            if submodule is not None and not is_checked_out(submodule):
                yield MissingPath(inner, MissingReason.SUBMODULE)
            elif submodule is not None:
                for nested in _missing(submodule, os.path.realpath(path)):
                    yield MissingPath(
                        os.path.normpath(os.path.join(inner, nested.path)), nested.reason
                    )
            elif not (os.path.isdir(path) and os.listdir(path)):
                yield MissingPath(inner, MissingReason.SUBMODULE)
        elif entry.left_out:
            if not os.path.lexists(path):
                yield MissingPath(_highest_missing(real, inner), MissingReason.SPARSE)
        elif entry.is_file_of_link(path):
            yield MissingPath(inner, MissingReason.LINK)


def _is_read(entry: "IndexEntry", inner: str) -> bool:
    if inner != "." and is_hidden(inner):
        return False
    return entry.mode & 0o170000 != _REGULAR or inner.endswith(ENDINGS)


def _highest_missing(directory: str, inner: str) -> str:
    while (parent := os.path.dirname(inner)) and not os.path.lexists(
        os.path.join(directory, parent)
    ):
        inner = parent
    return inner
