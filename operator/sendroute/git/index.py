"""What git's index says about a checkout, read without git: a checkout lacks what it lacks also if
git is not installed, or refuses the repository because it belongs to another user. Only an index in
two files is read by git.

The format is gitformat-index(5). Only entries that a checkout may lack are returned.
"""

import os
import re
import stat
import struct
from collections.abc import Iterator
from hashlib import new as new_hash
from typing import NamedTuple

from sendroute.files.regular import regular
from sendroute.git.failures import GitFailedError
from sendroute.git.repository import Repository

_HEADER = struct.Struct(">4sII")
_MODE = struct.Struct(">I")
_FLAGS = struct.Struct(">H")
_EXTENSION = struct.Struct(">4sI")
_MODE_AT, _NAME_AT = 24, 40  # of an entry; the object name and the flags follow at _NAME_AT
_LENGTH, _EXTENDED = 0xFFF, 0x4000
_SKIP_WORKTREE = 0x4000  # of the extended flags
_MAX_INDEX = 1 << 29  # bytes: of a few million files
_MAX_CONFIG = 1 << 24  # bytes
# In the section [extensions], and no other begins in between.
_SHA_256 = re.compile(
    rb"^[ \t]*\[[ \t]*extensions[ \t]*\][^\[]*?\bobjectformat[ \t]*=[ \t]*\"?sha256\b",
    re.IGNORECASE | re.MULTILINE,
)
MAX_TARGET = 4095
"""Bytes of the longest target of a link: PATH_MAX without its NUL."""
_DIRECTORY, _LINK, _SUBMODULE = 0o040000, 0o120000, 0o160000
_CHECKED_MODES = (_LINK, _SUBMODULE)
_CHECKED_BYTES = tuple(map(_MODE.pack, _CHECKED_MODES))


class IndexEntry(NamedTuple):
    """A submodule, a symbolic link, or an entry that a sparse checkout left out (its skip-worktree
    bit is set). The latter may be a directory, if the index is sparse too."""

    path: str
    mode: int
    blob: str
    left_out: bool

    @property
    def is_submodule(self) -> bool:
        return self.mode == _SUBMODULE

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
            return blob_of(_read(path), self.blob) == self.blob
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
        data = _read(os.path.join(directory, "index"), _MAX_INDEX)
    except FileNotFoundError:
        if _has_commit(directory):
            raise ValueError("the checkout did not end") from None
        return []
    try:
        reader = _IndexReader(data, _hash_length(directory))
        return _listed(repository) if reader.is_split() else list(reader.entries())
    except (struct.error, IndexError, GitFailedError) as error:
        raise ValueError("it is damaged") from error


def _listed(repository: Repository) -> list[IndexEntry]:
    """The same for an index in two files (git-update-index(1), --split-index), which only git
    reads. It must be one that git accepts."""
    repository.require_usable()
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
                    if b"\0" in path:
                        raise ValueError("a path holds a NUL")
                    name = os.fsdecode(path).removesuffix("/")  # of a directory
                    yield IndexEntry(name, mode, blob.hex(), skipped)
        # Otherwise, nearly always, there are none: version 2 has no bits for sparse checkouts.

    def is_split(self) -> bool:
        """Whether an extension says that there is another file. It need not be the first one: git
        writes others before it if ``index.threads`` is above 1."""
        if b"link" not in self._data:
            return False
        at = _HEADER.size
        for *_, at in self._all():  # noqa: B007 - where the last entry ends
            pass
        while at + _EXTENSION.size <= len(self._data) - self._hash_length:
            name, size = _EXTENSION.unpack_from(self._data, at)
            if name == b"link":
                return True
            at += _EXTENSION.size + size
        return False

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
                if len(path) > MAX_TARGET:  # no checkout has it, and each may add to the one before
                    raise ValueError("a path is too long")
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


def _read(path: str, most: int = MAX_TARGET) -> bytes:
    """The content of a regular file. Raises ValueError if it is longer than ``most`` bytes."""
    with open(path, "rb", opener=regular) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError("it is too large")
    return content


def _common_directory(git_directory: str) -> str:
    """Where the configuration and the branches are (gitrepository-layout(5), commondir)."""
    try:
        path = os.fsdecode(_read(os.path.join(git_directory, "commondir")).strip())
    except FileNotFoundError:
        return git_directory
    return os.path.join(git_directory, path)


def _hash_length(git_directory: str) -> int:
    """20 for SHA-1, 32 for SHA-256 (git-config(1), extensions.objectFormat)."""
    config = _read(os.path.join(_common_directory(git_directory), "config"), _MAX_CONFIG)
    return 32 if _SHA_256.search(config) else 20


def _has_commit(git_directory: str) -> bool:
    """Whether a commit is checked out, or was to be: HEAD is a commit, or a branch that exists."""
    head = _read(os.path.join(git_directory, "HEAD")).strip()
    if not head.startswith(b"ref:"):
        return True
    branch = head.removeprefix(b"ref:").strip()
    common = _common_directory(git_directory)
    if os.path.isfile(os.path.join(os.fsencode(common), branch)):
        return True
    if os.path.isdir(os.path.join(common, "reftable")):  # only git reads its branches
        return any(len(name) == 2 for name in os.listdir(os.path.join(common, "objects")))
    try:
        packed = _read(os.path.join(common, "packed-refs"), _MAX_INDEX)
    except FileNotFoundError:
        return False
    return any(line.endswith(b" " + branch) for line in packed.splitlines())
