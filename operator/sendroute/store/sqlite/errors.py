"""SQLite's errors, in our words."""

import sqlite3

from sendroute.model.problem import ProblemError
from sendroute.store.errors import damaged, locked, not_ours, problem

_ADVICE = {
    sqlite3.SQLITE_READONLY: (
        "The store {} cannot be written: the file, its folder or its disk is read-only.",
        "Nothing was written. Give this user the right to write the file and its folder.",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "The store {} or a file that belongs beside it cannot be opened.",
        "Let this user read and write the file and its directory. Copy a store only as a backup.",
    ),
    sqlite3.SQLITE_FULL: (
        "The disk of the store {} is full.",
        "Nothing was written. Make room and try again.",
    ),
    sqlite3.SQLITE_IOERR: (
        "The disk of the store {} failed to read or write.",
        "Nothing was written. Look at the system's log, make room, and try again.",
    ),
}
_ADVICE[sqlite3.SQLITE_PERM] = _ADVICE[sqlite3.SQLITE_CANTOPEN]
_ADVICE[sqlite3.SQLITE_AUTH] = _ADVICE[sqlite3.SQLITE_CANTOPEN]


def translate(error: sqlite3.Error, location: str) -> ProblemError | None:
    # The extended code's low byte is the primary one: https://www.sqlite.org/rescode.html
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return locked(location)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return damaged(location)
    if code in _ADVICE:
        message, hint = _ADVICE[code]
        return problem("store-failed", message.format(location), hint)
    if code == sqlite3.SQLITE_ERROR and "no such" in str(error):  # a table or column of ours
        return not_ours(location)
    if "decode" in str(error):  # the driver's own, which has no code: text that is not UTF-8
        return damaged(location)
    return None
