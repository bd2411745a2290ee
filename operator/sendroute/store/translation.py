"""Translates database errors into findings: a code, a sentence and a hint.

Only the kind of error is used, never the driver's text, which may contain a password or a value.
The modules ``errors`` of the two databases know what each kind means.
"""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from sqlalchemy.exc import DBAPIError, IntegrityError, MultipleResultsFound, NoResultFound

from sendroute.model.problem import ProblemError
from sendroute.store.errors import UNDONE, WrongValueError, damaged, problem


@contextmanager
def translated_errors(location: str) -> Iterator[None]:
    """A context that turns database errors into :class:`ProblemError`. ``location`` is the store's
    location without any password. Errors that it does not know pass through."""
    try:
        yield
    except IntegrityError as error:  # no caller expected it
        raise _constraint_failed(error, location) from error
    except DBAPIError as error:
        problem_error = _translated(error.orig, location)
        if problem_error is None:
            raise
        raise problem_error from error
    except _drivers() as error:
        problem_error = _translated(error, location)
        if problem_error is None:
            raise
        raise problem_error from error
    except (msgspec.MsgspecError, UnicodeDecodeError, WrongValueError) as error:
        # A spec or another value that no version of Sendroute wrote, or a schema or SQLite message
        # that is not UTF-8.
        raise damaged(location) from error


@contextmanager
def rows_of(location: str) -> Iterator[None]:
    """A context that reads rows only: what fails in it is damage. An invalid time or route; a row
    that is missing, or there twice."""
    try:
        yield
    except (ValueError, KeyError, NoResultFound, MultipleResultsFound) as error:
        raise damaged(location) from error


def _constraint_failed(error: IntegrityError, location: str) -> ProblemError:
    """The message contains the name of the constraint, but no value of the row."""
    rule = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    rule = rule or getattr(error.orig, "sqlite_errorname", "a trigger's")
    return problem(
        "store-failed",
        f"The database refused a change that violates a rule of the store {location} ({rule}).",
        f"{UNDONE} This is a bug in Sendroute: please report it.",
    )


def _drivers() -> tuple[type[Exception], ...]:
    """The error classes of the drivers in use; no driver is imported for this."""
    loaded = sys.modules.get("psycopg")
    return (sqlite3.Error,) if loaded is None else (sqlite3.Error, loaded.Error)


def _translated(error: BaseException | None, location: str) -> ProblemError | None:
    if isinstance(error, sqlite3.Error):
        from sendroute.store.sqlite.errors import translate

        return translate(error, location)
    if error is not None and hasattr(error, "sqlstate"):
        from sendroute.store.postgres.errors import translate as translate_postgres

        return translate_postgres(error, location)
    return None


def is_duplicate(error: IntegrityError) -> bool:
    """Whether a unique key refused the row, because another writer inserted it first."""
    codes = {"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY", "23505"}
    error_codes = (getattr(error.orig, name, None) for name in ("sqlite_errorname", "sqlstate"))
    return not codes.isdisjoint(error_codes)
