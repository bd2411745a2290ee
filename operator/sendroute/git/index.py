"""What git's index says about a checkout, read without git: a checkout lacks what it lacks also if
git is not installed, or refuses the repository because it belongs to another user.

Only entries that a checkout may lack are returned.
"""

import os
import re
import stat
import struct
from collections.abc import Iterator
from hashlib import new as new_hash
from typing import NamedTuple

from sendroute.files.regular import read_regular
from sendroute.git.index_file import SUBMODULE, FileEntry, IndexFile
from sendroute.git.references import common_directory, has_commits
from sendroute.git.repository import Repository
from sendroute.git.split_index import EXTENSION, joined

_MAX_INDEX = 1 << 29  # bytes: of a few million files
_MAX_CONFIG = 1 << 24  # bytes
# In the section [extensions], and no other begins in between.
_SHA_256 = re.compile(
    rb"^[ \t]*\[[ \t]*extensions[ \t]*\][^\[]*?\bobjectformat[ \t]*=[ \t]*\"?sha256\b",
    re.IGNORECASE | re.MULTILINE,
)
# In the section [core]. A variable without a value is true (git-config(1)).
_SPARSE = re.compile(
    rb"^[ \t]*\[[ \t]*core[ \t]*\][^\[]*?"
    rb"\bsparsecheckout[ \t]*(?:=[ \t]*\"?(?:true|yes|on|[1-9])|$)",
    re.IGNORECASE | re.MULTILINE,
)
_CONE = re.compile(_SPARSE.pattern.replace(b"sparsecheckout", b"sparsecheckoutcone"), _SPARSE.flags)
MAX_TARGET = 4095
"""Bytes of the longest target of a link: PATH_MAX without its NUL."""
_DIRECTORY = 0o040000


class IndexEntry(NamedTuple):
    """A submodule, a symbolic link, or an entry that a sparse checkout left out (its skip-worktree
    bit is set). The latter may be a directory, if the index is sparse too."""

    path: str
    mode: int
    blob: str
    left_out: bool

    @property
    def is_submodule(self) -> bool:
        return self.mode == SUBMODULE

    @property
    def is_directory(self) -> bool:
        """Whether the whole directory is left out, whatever is at its path."""
        return self.mode == _DIRECTORY

    def is_file_of_link(self, path: str) -> bool:
        """Whether the link is a file there that holds its target, as git writes it without links
        (git-config(1), core.symlinks). False for a file that is missing or cannot be read: reading
        its directory reports that."""
        try:
            status = os.lstat(path)
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_TARGET:
                return False
            return blob_of(read_regular(path, MAX_TARGET), self.blob) == self.blob
        except (OSError, ValueError):  # it was replaced meanwhile
            return False


def blob_of(content: bytes, like: str) -> str:
    """The name of the blob that holds some bytes (gitformat-pack(5)).

    Args:
        content: the bytes.
        like: another name in the same repository: SHA-1 or SHA-256.
    """
    digest = new_hash("sha1" if len(like) == 40 else "sha256", usedforsecurity=False)
    digest.update(b"blob %d\0" % len(content))
    digest.update(content)
    return digest.hexdigest()


# Prints the index: of each entry its tag, mode, blob, stage and path (git-ls-files(1)).
LIST = ("ls-files", "-s", "-v", "-z")
_LISTED = re.compile(r"(\S) ([0-7]{6}) ([0-9a-f]+) ([0-3])\t([^\0]+)\0")
# The groups, blob and path, match only for a regular file (mode 100644 or 100755: no link, no
# submodule) that is not in conflict (stage 0) and that git compares (tag H).
_COMPARED = re.compile(r"(?:H 100[0-9]{3} ([0-9a-f]+) 0\t([^\0]+)|[^\0]*)\0")


class ListedEntry(NamedTuple):
    """An entry of the index, as :data:`LIST` prints it."""

    tag: str
    mode: str
    blob: str
    stage: str
    path: str

    @property
    def is_compared(self) -> bool:
        """Whether git compares the file: false for the bits assume-unchanged and skip-worktree
        (git-update-index(1)), and for a conflict."""
        return self.tag == "H" and self.stage == "0"


def listed_entries(printed: bytes) -> Iterator[ListedEntry]:
    """The entries that :data:`LIST` printed."""
    return map(ListedEntry._make, _LISTED.findall(os.fsdecode(printed)))


def compared_files(printed: bytes) -> dict[str, str]:
    """The blob by path of every regular file that git compares; at once, because a tree may have a
    hundred thousand."""
    return {path: blob for blob, path in _COMPARED.findall(os.fsdecode(printed))}


class UnfinishedCheckoutError(ValueError):
    """A repository with a commit has no index: git did not finish its checkout."""


def entries_to_check(repository: Repository) -> list[IndexEntry]:
    """Find the entries of the index that the checkout may lack on purpose.

    Args:
        repository: a repository with a working tree.

    Returns:
        The entries, none if there is no index.

    Raises:
        OSError: the index cannot be read.
        ValueError: it is damaged, or of a version that is unknown.
        UnfinishedCheckoutError: there is a commit, and no index.
    """
    directory = repository.git_directory
    try:
        data = read_regular(os.path.join(directory, "index"), _MAX_INDEX)
    except FileNotFoundError:
        if has_commits(directory):
            raise UnfinishedCheckoutError from None
        return []
    try:
        entries = _entries(directory, data, _hash_length(directory))
        return [_checked(entry) for entry in entries if entry.may_lack]
    except (struct.error, IndexError) as error:
        raise ValueError("it is damaged") from error


def is_sparse(repository: Repository) -> bool:
    """Whether the repository has a sparse checkout (git-config(1), core.sparseCheckout): else an
    entry is left out because a user set its skip-worktree bit.

    Args:
        repository: a repository with a working tree.

    Raises:
        OSError, ValueError: its configuration cannot be read.
    """
    return _is_configured(repository, _SPARSE)


def is_cone(repository: Repository) -> bool:
    """Whether its sparse checkout is made of directories, and not of patterns (git-config(1),
    core.sparseCheckoutCone).

    Args:
        repository: a repository with a working tree.

    Raises:
        OSError, ValueError: its configuration cannot be read.
    """
    return _is_configured(repository, _CONE)


def _is_configured(repository: Repository, variable: re.Pattern[bytes]) -> bool:
    directory = repository.git_directory
    configs = [os.path.join(common_directory(directory), "config")]
    configs.append(os.path.join(directory, "config.worktree"))
    return any(
        variable.search(read_regular(path, _MAX_CONFIG))
        for path in configs
        if os.path.lexists(path)
    )


def _entries(directory: str, data: bytes, hash_length: int) -> Iterator[FileEntry]:
    """The entries of an index with this content, with or without those that are in no doubt."""
    index = IndexFile(data, hash_length)
    link = index.extension(EXTENSION)
    if link is None or not link[:hash_length].strip(b"\0"):  # there is no second file
        return index.checked()
    name = link[:hash_length]
    data = read_regular(os.path.join(directory, f"sharedindex.{name.hex()}"), _MAX_INDEX)
    shared = IndexFile(data, hash_length)
    if shared.checksum != name:
        raise ValueError("the shared index is another one")
    if not index.may_lack and not shared.may_lack:
        return iter(())
    return joined(index, link[hash_length:], shared)


def _checked(entry: FileEntry) -> IndexEntry:
    if b"\0" in entry.path:
        raise ValueError("a path holds a NUL")
    path = os.fsdecode(entry.path).removesuffix("/")  # of a directory
    return IndexEntry(path, entry.mode, entry.blob.hex(), entry.left_out)


def _hash_length(git_directory: str) -> int:
    """20 for SHA-1, 32 for SHA-256 (git-config(1), extensions.objectFormat)."""
    config = read_regular(os.path.join(common_directory(git_directory), "config"), _MAX_CONFIG)
    return 32 if _SHA_256.search(config) else 20
