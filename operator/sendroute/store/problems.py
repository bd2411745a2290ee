"""What a database can answer, told to a person: a code, one sentence and what to do.

Only the kind of error is used, never a driver's text: that may hold a password or a value.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from sqlalchemy.exc import DBAPIError, IntegrityError

from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError, StaleError


def problem(code: str, message: str, hint: str) -> ProblemError:
    return ProblemError(finding(code, message, hint=hint))


def stale(*accounts: object) -> StaleError:
    named = ", ".join(str(key) for key in accounts)
    return StaleError(
        finding(
            "stale-plan",
            f"The store has changed since this was planned{f' ({named})' if named else ''}.",
            hint="Nothing of it was written. Plan again.",
        )
    )


def not_ours(place: str) -> ProblemError:
    return problem(
        "wrong-store",
        f"{place} is not a Sendroute store.",
        "It was left untouched. Name the right store with --store, or another place for a new one.",
    )


# Primary result codes, https://www.sqlite.org/rescode.html
_SQLITE = {
    sqlite3.SQLITE_BUSY: (
        "store-locked",
        "The store {} is in use by another writer.",
        "Nothing was written. Try again when the other one has ended.",
    ),
    sqlite3.SQLITE_READONLY: (
        "store-failed",
        "The store {} cannot be written: the file, its folder or its disk is read-only.",
        "Nothing was written. Give this user the right to write the file and its folder.",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "store-failed",
        "The store {} or a file that belongs beside it cannot be opened.",
        "Give this user the right to the file and its folder; copy it by `sendroute backup`.",
    ),
    sqlite3.SQLITE_FULL: (
        "store-failed",
        "The disk of the store {} is full.",
        "Nothing was written. Make room and try again.",
    ),
    sqlite3.SQLITE_IOERR: (
        "store-failed",
        "The disk of the store {} failed to read or write.",
        "Nothing was written. Look at the system's log, make room, and try again.",
    ),
    sqlite3.SQLITE_CORRUPT: (
        "store-failed",
        "The store {} is damaged.",
        "Restore it: `sendroute init --from-backup FILE` or `--from-lock FILE`, in a new place.",
    ),
}
_SQLITE[sqlite3.SQLITE_LOCKED] = _SQLITE[sqlite3.SQLITE_BUSY]
_SQLITE[sqlite3.SQLITE_PERM] = _SQLITE[sqlite3.SQLITE_CANTOPEN]
_SQLITE[sqlite3.SQLITE_AUTH] = _SQLITE[sqlite3.SQLITE_CANTOPEN]
_SQLITE[sqlite3.SQLITE_NOTADB] = _SQLITE[sqlite3.SQLITE_CORRUPT]


def _from_sqlite(error: sqlite3.Error, place: str) -> ProblemError | None:
    # The extended code's low byte is the primary one.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE) & 0xFF
    if code in _SQLITE:
        name, message, hint = _SQLITE[code]
        return problem(name, message.format(place), hint)
    if code == sqlite3.SQLITE_ERROR and "no such" in str(error):  # a table or column of ours
        return not_ours(place)
    return None


@contextmanager
def told_plainly(place: str) -> Iterator[None]:
    """Inside, a database's error becomes a :class:`ProblemError`. ``place`` names the store, free
    of any password. What a constraint refuses passes through: a caller knows what it means."""
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        cause = error.orig
        told = _from_sqlite(cause, place) if isinstance(cause, sqlite3.Error) else None
        if told is None:
            raise
        raise told from error
    except sqlite3.Error as error:
        told = _from_sqlite(error, place)
        if told is None:
            raise
        raise told from error
    except msgspec.MsgspecError as error:  # a spec in the store that no version of ours wrote
        raise problem(*_damaged(place)) from error


def _damaged(place: str) -> tuple[str, str, str]:
    name, message, hint = _SQLITE[sqlite3.SQLITE_CORRUPT]
    return name, message.format(place), hint


def is_taken(error: IntegrityError) -> bool:
    """Whether a unique key refused it: somebody else was there first. SQLSTATE 23505 is
    PostgreSQL's."""
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return cause.sqlite_errorcode in (
            sqlite3.SQLITE_CONSTRAINT_UNIQUE,
            sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
        )
    return getattr(cause, "sqlstate", None) == "23505"
