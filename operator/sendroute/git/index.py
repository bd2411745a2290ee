"""What git's index says about a checkout, read without git: a checkout lacks what it lacks also if
git is not installed, or refuses the repository because it belongs to another user.

The format is gitformat-index(5). Only entries that a checkout may lack are returned.
"""

import os
import re
import stat
import struct
from collections.abc import Iterator
from hashlib import new as new_hash
from typing import NamedTuple

from sendroute.git.failures import GitFailedError
from sendroute.git.repository import Repository

_HEADER = struct.Struct(">4sII")
_MODE = struct.Struct(">I")
_FLAGS = struct.Struct(">H")
_MODE_AT, _NAME_AT = 24, 40  # of an entry; the object name and the flags follow at _NAME_AT
_LENGTH, _EXTENDED = 0xFFF, 0x4000
_SKIP_WORKTREE = 0x4000  # of the extended flags
MAX_TARGET = 4095
"""Bytes of the longest target of a link: PATH_MAX without its NUL."""
_LINK, _SUBMODULE = 0o120000, 0o160000
_CHECKED_MODES = (_LINK, _SUBMODULE)
_CHECKED_BYTES = tuple(map(_MODE.pack, _CHECKED_MODES))


class IndexEntry(NamedTuple):
    """A submodule, a symbolic link, or an entry that a sparse checkout left out (its skip-worktree
    bit is set). The path of a directory of a sparse index ends with ``/``."""

    path: str
    mode: int
    blob: str
    left_out: bool

    @property
    def is_submodule(self) -> bool:
        return self.mode == _SUBMODULE

    def is_file_of_link(self, path: str) -> bool:
        """Whether the link is a file there that holds its target, as git writes it without links
        (git-config(1), core.symlinks). False for a file that is missing or cannot be read: reading
        its directory reports that."""
        try:
            status = os.lstat(path)
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_TARGET:
                return False
            return blob_of(_read(path), self.blob) == self.blob
        except OSError:
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


def entries_to_check(repository: Repository) -> list[IndexEntry]:
    """Find the entries of the index that the checkout may lack on purpose.

    Args:
        repository: a repository with a working tree.

    Returns:
        The entries, none if there is no index.

    Raises:
        OSError: the index cannot be read.
        ValueError: it is damaged, or of a version that is unknown.
    """
    directory = repository.git_directory
    try:
        data = _read(os.path.join(directory, "index"))
    except FileNotFoundError:
        return []
    try:
        reader = _IndexReader(data, _hash_length(directory))
        return _listed(repository) if reader.is_split() else list(reader.entries())
    except (struct.error, IndexError, GitFailedError) as error:
        raise ValueError("it is damaged") from error


def _listed(repository: Repository) -> list[IndexEntry]:
    """The same for an index in two files (git-update-index(1), --split-index), which only git
    reads."""
    entries = [
        IndexEntry(entry.path, int(entry.mode, 8), entry.blob, entry.tag in "Ss")
        for entry in listed_entries(repository.output(LIST))
    ]
    return [entry for entry in entries if entry.left_out or entry.mode in _CHECKED_MODES]


class _IndexReader:
    def __init__(self, data: bytes, hash_length: int) -> None:
        signature, self._version, self._count = _HEADER.unpack_from(data)
        if signature != b"DIRC" or self._version not in (2, 3, 4):
            raise ValueError("its version is unknown")
        self._data = data
        self._hash_length = hash_length

    def entries(self) -> Iterator[IndexEntry]:
        if self._version > 2 or any(mode in self._data for mode in _CHECKED_BYTES):
            for path, mode, blob, skipped, _ in self._all():
                if skipped or mode in _CHECKED_MODES:
                    yield IndexEntry(os.fsdecode(path), mode, blob.hex(), skipped)
        # Otherwise, nearly always, there are none: version 2 has no bits for sparse checkouts.

    def is_split(self) -> bool:
        """Whether the first extension says that there is another file."""
        if b"link" not in self._data:
            return False
        ends = [_HEADER.size, *(end for *_, end in self._all())]
        return self._data.startswith(b"link", ends[-1])

    def _all(self) -> Iterator[tuple[bytes, int, bytes, bool, int]]:
        """The path, mode, object and skip-worktree bit of each entry, and where it ends."""
        data, flags_at = self._data, _NAME_AT + self._hash_length
        start, path = _HEADER.size, b""
        for _ in range(self._count):
            (mode,) = _MODE.unpack_from(data, start + _MODE_AT)
            blob = data[start + _NAME_AT : start + flags_at]
            (flags,) = _FLAGS.unpack_from(data, start + flags_at)
            name_at, skipped = start + flags_at + 2, False
            if flags & _EXTENDED:
                skipped = bool(_FLAGS.unpack_from(data, name_at)[0] & _SKIP_WORKTREE)
                name_at += 2
            if self._version == 4:
                removed, name_at = _varint(data, name_at)
                end = data.index(b"\0", name_at)
                path = path[: len(path) - removed] + data[name_at:end]
                start = end + 1
            else:
                known = flags & _LENGTH
                end = name_at + known if known < _LENGTH else data.index(b"\0", name_at)
                path = data[name_at:end]
                start += (end - start + 8) // 8 * 8  # padded with 1 to 8 NULs
            yield path, mode, blob, skipped, start


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at a position, as in git's packs (gitformat-pack(5), offset encoding), and the
    position after it."""
    byte = data[at]
    number = byte & 0x7F
    while byte & 0x80:
        at += 1
        byte = data[at]
        number = ((number + 1) << 7) | (byte & 0x7F)
    return number, at + 1


def _read(path: str) -> bytes:
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        return file.read()


def _hash_length(git_directory: str) -> int:
    """20 for SHA-1, 32 for SHA-256 (git-config(1), extensions.objectFormat)."""
    common = git_directory
    try:
        path = os.fsdecode(_read(os.path.join(git_directory, "commondir")).strip())
        common = os.path.join(git_directory, path)
    except FileNotFoundError:
        pass
    return 32 if b"sha256" in _read(os.path.join(common, "config")).lower() else 20
