"""One file of git's index, as bytes: gitformat-index(5)."""

import struct
from collections.abc import Iterator
from hashlib import new as new_hash
from typing import NamedTuple

_HEADER = struct.Struct(">4sII")
_MODE = struct.Struct(">I")
_FLAGS = struct.Struct(">H")
_EXTENSION = struct.Struct(">4sI")
_MODE_AT, _NAME_AT = 24, 40  # of an entry; the object name and the flags follow at _NAME_AT
_LENGTH, _STAGE, _EXTENDED = 0xFFF, 0x3000, 0x4000
_SKIP_WORKTREE = 0x4000  # of the extended flags
_MAX_PATH = 4095  # PATH_MAX without its NUL
_MAX_PATHS = 1 << 29  # bytes of all paths: version 4 may repeat the one before at no cost
LINK, SUBMODULE = 0o120000, 0o160000
"""The modes of a symbolic link and a submodule."""
_MODES = (LINK, SUBMODULE)
_MODE_BYTES = tuple(map(_MODE.pack, _MODES))


class FileEntry(NamedTuple):
    """An entry of one file. ``left_out`` is its skip-worktree bit, and ``stage`` is 0 unless there
    is a conflict about the path."""

    path: bytes
    mode: int
    blob: bytes
    stage: int
    left_out: bool

    @property
    def may_lack(self) -> bool:
        """Whether a checkout may lack it on purpose."""
        return self.left_out or self.mode in _MODES


class IndexFile:
    """A file of an index.

    Args:
        data: its content.
        hash_length: the bytes of an object name.

    Raises:
        ValueError: it is damaged, or of a version that is unknown. So do all methods, which raise
            struct.error and IndexError too.
    """

    def __init__(self, data: bytes, hash_length: int) -> None:
        signature, self._version, self.count = _HEADER.unpack_from(data)
        if signature != b"DIRC" or self._version not in (2, 3, 4):
            raise ValueError("its version is unknown")
        self._data = data
        self._hash_length = hash_length
        self._end = len(data) - hash_length  # the checksum follows
        self.checksum = data[self._end :]
        # Of a copy that ended early git's own reader sees nothing. Zeros: git-config(1),
        # index.skipHash.
        if self.checksum.strip(b"\0") and self.checksum != _hash_of(
            memoryview(data)[: self._end], hash_length
        ):
            raise ValueError("its checksum differs")
        if self.count * (_NAME_AT + hash_length) > self._end:
            raise ValueError("it is too short for its entries")

    @property
    def may_lack(self) -> bool:
        """Whether a checkout may lack an entry. That costs nothing, and is nearly always false:
        version 2 has no bits for sparse checkouts."""
        return self._version > 2 or any(mode in self._data for mode in _MODE_BYTES)

    def checked(self) -> Iterator[FileEntry]:
        """The entries that a checkout may lack."""
        if self.may_lack:
            for path, mode, blob, stage, left_out, _ in self._all():
                if left_out or mode in _MODES:
                    yield FileEntry(path, mode, blob, stage, left_out)

    def entries(self) -> Iterator[FileEntry]:
        """All entries in their order."""
        return (FileEntry._make(entry[:-1]) for entry in self._all())

    def extension(self, name: bytes) -> bytes | None:
        """The content of an extension. It need not be the first one: git writes others before it if
        ``index.threads`` is above 1."""
        if name not in self._data:
            return None
        at = _HEADER.size
        for *_, at in self._all():  # noqa: B007 - where the last entry ends
            pass
        while at + _EXTENSION.size <= self._end:
            extension, size = _EXTENSION.unpack_from(self._data, at)
            at += _EXTENSION.size
            if at + size > self._end:
                raise ValueError("an extension is too short")
            if extension == name:
                return self._data[at : at + size]
            at += size
        return None

    def _all(self) -> Iterator[tuple[bytes, int, bytes, int, bool, int]]:
        """The fields of each entry, and where it ends."""
        data, flags_at = self._data, _NAME_AT + self._hash_length
        start, path, total = _HEADER.size, b"", 0
        for _ in range(self.count):
            (mode,) = _MODE.unpack_from(data, start + _MODE_AT)
            blob = data[start + _NAME_AT : start + flags_at]
            (flags,) = _FLAGS.unpack_from(data, start + flags_at)
            name_at, left_out = start + flags_at + 2, False
            if flags & _EXTENDED:
                left_out = bool(_FLAGS.unpack_from(data, name_at)[0] & _SKIP_WORKTREE)
                name_at += 2
            if self._version == 4:
                removed, name_at = _varint(data, name_at)
                end = data.index(b"\0", name_at)
                path = path[: max(len(path) - removed, 0)] + data[name_at:end]
                total += len(path)
                if len(path) > _MAX_PATH or total > _MAX_PATHS:
                    raise ValueError("the paths are too long")
                start = end + 1
            else:
                known = flags & _LENGTH
                end = name_at + known if known < _LENGTH else data.index(b"\0", name_at)
                path = data[name_at:end]
                start += (end - start + 8) // 8 * 8  # padded with 1 to 8 NULs
            if start > self._end:
                raise ValueError("an entry is too short")
            yield path, mode, blob, (flags & _STAGE) >> 12, left_out, start


def _hash_of(data: memoryview, length: int) -> bytes:
    digest = new_hash("sha1" if length == 20 else "sha256", usedforsecurity=False)
    digest.update(data)
    return digest.digest()


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
