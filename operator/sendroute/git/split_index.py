"""An index in two files (git-update-index(1), --split-index): the shared one holds the entries of
some moment, and the file ``index`` what changed since. Its extension ``link`` names the shared
file, and which entries of that were deleted and which replaced, as two bitmaps
(gitformat-index(5), Split index; the bitmaps are EWAH, as in gitformat-pack(5)'s bitmaps)."""

import struct
from collections.abc import Iterator
from itertools import islice

from sendroute.git.index_file import FileEntry, IndexFile

EXTENSION = b"link"
"""The extension of an index that has a shared file."""

_SIZES = struct.Struct(">II")  # of a bitmap: its bits and its words
_WORD = struct.Struct(">Q")
_LAST_AT = 4  # bytes of the position of the last run, after the words
_MAX_RUN = 0xFFFFFFFF


def joined(index: IndexFile, link: bytes, shared: IndexFile) -> Iterator[FileEntry]:
    """Find the entries of an index in two files, as git does.

    Args:
        index: the file ``index``.
        link: the content of its extension, without the name of the shared file.
        shared: that file.

    Yields:
        The entries, in no order.

    Raises:
        ValueError: the two do not fit.
    """
    deleted, replaced = _bitmaps(link, shared.count)
    entries = index.entries()
    replacements = list(islice(entries, sum(replaced)))
    added = list(entries)
    # Only those that replace others have no name.
    if any(entry.path for entry in replacements) or not all(entry.path for entry in added):
        raise ValueError("the entries do not fit the bitmaps")
    yield from added
    keys = {(entry.path, entry.stage) for entry in added}
    resolved = {entry.path for entry in added if entry.stage == 0}
    following = iter(replacements)
    for entry, is_deleted, is_replaced in zip(shared.entries(), deleted, replaced, strict=True):
        if is_replaced:
            replacement = next(following, None)
            if replacement is None or is_deleted:
                raise ValueError("the entries do not fit the bitmaps")
            yield replacement._replace(path=entry.path)
        elif not (is_deleted or entry.path in resolved or (entry.path, entry.stage) in keys):
            yield entry


def _bitmaps(link: bytes, count: int) -> tuple[bytearray, bytearray]:
    """Of each entry of the shared file, whether it is deleted, and whether it is replaced."""
    deleted, replaced = bytearray(count), bytearray(count)
    if link:  # nothing has changed yet
        end = _decode(link, _decode(link, 0, deleted), replaced)
        if end != len(link):
            raise ValueError("the bitmaps are too short")
    return deleted, replaced


def _decode(data: bytes, at: int, marks: bytearray) -> int:
    """Mark the bits that are set in the bitmap at a position. A run of ones may be said to have
    billions, so it is compared with the number of marks first.

    Returns:
        The position after the bitmap.
    """
    _, words = _SIZES.unpack_from(data, at)
    first = at + _SIZES.size
    end: int = first + words * _WORD.size
    if end + _LAST_AT > len(data):
        raise ValueError("a bitmap is too short")
    bit = literals = 0
    for (word,) in _WORD.iter_unpack(memoryview(data)[first:end]):
        if literals:
            literals -= 1
            _mark(word, bit, marks)
            bit += 64
            continue
        length = (word >> 1 & _MAX_RUN) * 64
        if word & 1 and length:
            if bit + length > len(marks):
                raise ValueError("a bitmap has more bits than there are entries")
            marks[bit : bit + length] = b"\1" * length
        bit += length
        literals = word >> 33
    return end + _LAST_AT


def _mark(word: int, bit: int, marks: bytearray) -> None:
    """Mark the bits of a word that holds them as they are."""
    while word:
        lowest = word & -word
        marks[bit + lowest.bit_length() - 1] = 1  # an IndexError if there is no such entry
        word ^= lowest
