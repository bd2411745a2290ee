"""Lets Postfix read the tables while an agent starts, which no other process may notice.

The write-ahead log has an index, the file ``-shm``. The first connection to the file empties it and
builds it again, because it may be from before a crash of the machine; meanwhile every reader gets
an error (SQLITE_BUSY_RECOVERY), for which Postfix's client does not wait. Whether a connection is
the first, SQLite knows by a shared lock that each one holds on one byte of the index
(``UNIX_SHM_DMS`` in SQLite's os_unix.c). So the agent locks this byte before it opens the file, as
a reader would that was there all the time. It does so only if the index and the log are the files
of an earlier agent of this boot: then the system has kept every byte that it wrote before it was
killed.
"""

import fcntl
import os
import struct
from contextlib import suppress
from pathlib import Path

from sendroute.files.regular import regular

_BYTE = 128
"""The offset of ``UNIX_SHM_DMS``."""
_MAX_NOTE = 1 << 12
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def hold_index(tables: Path) -> int | None:
    """Lock the index of a file, before it is opened.

    Args:
        tables: the file.

    Returns:
        A descriptor that holds the lock. Close it after the last connection to the file: to close
        any descriptor of a file drops SQLite's locks (https://www.sqlite.org/howtocorrupt.html,
        2.2). None if the index must be built.
    """
    try:
        descriptor = regular(str(_index(tables)), os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        if _noted(tables) == _state(tables, os.fstat(descriptor)):
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _shared(_BYTE))
            return descriptor
    except OSError:  # no note, or a connection builds the index now
        pass
    os.close(descriptor)
    return None


def note_index(tables: Path) -> None:
    """Note, after a file was opened, that its index is of this boot, and of its log."""
    with suppress(OSError):  # without a note the next agent builds the index
        state = _state(tables, _index(tables).stat())
        note = _note(tables)
        if not note.exists() or _noted(tables) != state:
            note.unlink(missing_ok=True)
            note.write_text(state)


def _index(tables: Path) -> Path:
    return tables.with_name(tables.name + "-shm")


def _note(tables: Path) -> Path:
    return tables.with_name(tables.name + "-boot")


def _noted(tables: Path) -> str:
    """What the note says; it is no longer than a note of ours.

    Raises:
        OSError: it is no regular file, or cannot be read.
    """
    with open(_note(tables), "rb", opener=regular) as file:
        return file.read(_MAX_NOTE).decode(errors="replace")


def _state(tables: Path, index: os.stat_result) -> str:
    log = tables.with_name(tables.name + "-wal").stat()
    return f"{_BOOT.read_text().strip()} {index.st_dev} {index.st_ino} {log.st_ino}\n"


def _shared(offset: int) -> bytes:
    """The ``struct flock`` of one byte, as fcntl_locking(2) takes it."""
    return struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, offset, 1, 0)
