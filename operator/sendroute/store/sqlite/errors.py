"""Translates errors of SQLite into findings."""

import sqlite3

from sendroute.model.problem import ProblemError
from sendroute.store.errors import UNDONE, damaged, locked, not_ours, problem

_ADVICE = {
    sqlite3.SQLITE_READONLY: (
        "The store {} cannot be written: the file, its directory or its disk is read-only.",
        f"{UNDONE} Allow the user that runs sendroute to write the file and its directory.",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "The store {}, or its -wal or -shm file, cannot be opened.",
        "Allow the user that runs sendroute to read and write the file and its directory. Copy a"
        " store only as a backup.",
    ),
    sqlite3.SQLITE_FULL: (
        "The disk of the store {} is full.",
        f"{UNDONE} Free some space and try again.",
    ),
    sqlite3.SQLITE_IOERR: (
        "The disk of the store {} failed to read or write.",
        f"{UNDONE} Check the system's log and the disk, and try again.",
    ),
}
_ADVICE[sqlite3.SQLITE_PERM] = _ADVICE[sqlite3.SQLITE_CANTOPEN]
_ADVICE[sqlite3.SQLITE_AUTH] = _ADVICE[sqlite3.SQLITE_CANTOPEN]


def translate(error: sqlite3.Error, location: str) -> ProblemError | None:
    """The finding for an error of SQLite; None if it is unknown. ``location`` is shown."""
    # The extended code's low byte is the primary one: https://www.sqlite.org/rescode.html
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return locked(location)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return damaged(location)
    if code in _ADVICE:
        message, hint = _ADVICE[code]
        return problem("store-failed", message.format(location), hint)
    if code == sqlite3.SQLITE_ERROR and "no such" in str(error):  # table or column
        return not_ours(location)
    if "decode" in str(error):  # an error of the driver without a code: the text is not UTF-8
        return damaged(location)
    return None
