"""What a database can answer, told to a person: a code, one sentence and what to do.

Only the kind of error is used, never a driver's text: that may hold a password or a value. What
each kind means, the modules of the two databases know.
"""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from sqlalchemy.exc import DBAPIError, IntegrityError

from sendroute.model.problem import ProblemError
from sendroute.store.errors import damaged, problem


@contextmanager
def translated_errors(location: str) -> Iterator[None]:
    """Inside, a database's error becomes a :class:`ProblemError`. ``location`` names the store
    without any password."""
    try:
        yield
    except IntegrityError as error:  # nobody took it for what it may mean
        raise _against_the_rules(error, location) from error
    except DBAPIError as error:
        told = _translated(error.orig, location)
        if told is None:
            raise
        raise told from error
    except _drivers() as error:
        told = _translated(error, location)
        if told is None:
            raise
        raise told from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        # A spec that no version of ours wrote, a schema or a message of SQLite's own about it
        # that is not UTF-8.
        raise damaged(location) from error


def _against_the_rules(error: IntegrityError, location: str) -> ProblemError:
    """The schema's name of the rule may be told, the row that broke it not."""
    rule = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    rule = rule or getattr(error.orig, "sqlite_errorname", "a trigger's")
    return problem(
        "store-failed",
        f"The store {location} refused a change that breaks its own rules ({rule}).",
        "Nothing was written. Report it, for no plan may come so far.",
    )


def _drivers() -> tuple[type[Exception], ...]:
    """Errors of the drivers in use: none is imported to look for its own."""
    loaded = sys.modules.get("psycopg")
    return (sqlite3.Error,) if loaded is None else (sqlite3.Error, loaded.Error)


def _translated(error: BaseException | None, location: str) -> ProblemError | None:
    if isinstance(error, sqlite3.Error):
        from sendroute.store.sqlite.errors import translate

        return translate(error, location)
    if error is not None and hasattr(error, "sqlstate"):
        from sendroute.store.postgres.errors import translate as told

        return told(error, location)
    return None


def is_duplicate(error: IntegrityError) -> bool:
    """Whether a unique key refused it: somebody else was there first."""
    taken = {"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY", "23505"}
    named = (getattr(error.orig, name, None) for name in ("sqlite_errorname", "sqlstate"))
    return not taken.isdisjoint(named)
