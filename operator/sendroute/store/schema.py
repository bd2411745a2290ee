"""Checks that a store's schema is Sendroute's, and upgrades a schema that is older than this
program.

A store can come from a stranger: a backup, a file, a shared database. A trigger or a view in it
would run with the rights of this program, and a missing check would let it write what the rules
forbid. So every opening compares all objects of the schema with those that the migrations create.
``schema_objects.json`` has their digests, for each database and version; a test writes it from the
migrations.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import msgspec
from sqlalchemy import Connection, String, column, select, table
from sqlalchemy.exc import DBAPIError

from sendroute.model.numerals import decimal
from sendroute.model.problem import ProblemError
from sendroute.store.database import Database
from sendroute.store.errors import WrongValueError, not_ours, problem
from sendroute.store.tables import HEAD
from sendroute.store.translation import translated_errors

OBJECTS = Path(__file__).with_name("schema_objects.json")
"""What each migration changes: by database and version, the digest of every object that is new or
changed, and None for one that is gone."""

Objects = Mapping[str, str]
"""The digest of each object's definition, by kind and name."""

_VERSION = select(column("version_num", String)).select_from(table("alembic_version"))
_VERSION_TABLE = "table alembic_version"
_LISTED = 3
_TRIES = 3
_MAX_VERSION = 9999  # versions have four digits
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What a migration raises at JSON that no version of Sendroute wrote."""


def upgrade_schema(database: Database) -> None:
    """Check the schema, and run the migrations that are missing, without other writers.

    Raises :class:`~sendroute.model.problem.ProblemError`: ``wrong-store`` if it is not a store of
    Sendroute, or not as Sendroute created it; ``store-version`` if a newer Sendroute wrote it;
    ``store-failed`` if a value that a migration reads is damaged.
    """

    def upgrade(connection: Connection) -> None:
        if schema_version(database, connection) != HEAD:  # another process may have upgraded it
            try:
                migrate(connection)
            except _UNREADABLE as error:
                raise WrongValueError("a migration cannot read a value") from error

    with translated_errors(database.location):
        if require_our_schema(database) == HEAD:
            return
        # Imported here, because Alembic takes half of the start time and is rarely needed.
        from sendroute.store.migrate import migrate

        database.write(upgrade, alone=True)


def require_our_schema(database: Database) -> str:
    """Check the schema of an open database, and return its version. Raises as
    :func:`upgrade_schema` does.

    PostgreSQL describes objects as they are now, and not as the transaction sees them. So a
    migration by another process that commits in between looks like a difference, or like an object
    that does not exist; then the check is repeated.
    """
    for _ in range(_TRIES - 1):
        try:
            return _version_of(database)
        except ProblemError:
            continue
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) is None:  # SQLite, or no connection
                raise
    return _version_of(database)


def _version_of(database: Database) -> str:
    with database.reading() as connection:
        return schema_version(database, connection)


def schema_version(database: Database, connection: Connection) -> str:
    """The version of a store's schema, after all of the schema was checked. Nothing else is read
    before, because reading a stranger's view would run it. Raises as :func:`upgrade_schema`
    does."""
    present = digests(database.objects(connection))
    expected = expected_objects(connection.dialect.name, HEAD)
    if present.get(_VERSION_TABLE) != expected[_VERSION_TABLE]:
        raise not_ours(database.location)
    versions = connection.execute(_VERSION).scalars().all()
    version = versions[0] if len(versions) == 1 else None
    if not isinstance(version, str) or (number := decimal(version, _MAX_VERSION)) is None:
        raise not_ours(database.location)
    if number > int(HEAD):
        raise problem(
            "store-version",
            f"The store {database.location} was written by a newer Sendroute.",
            "The store was not changed. Use the newer Sendroute for the store.",
        )
    differences = list(_differences(present, expected_objects(connection.dialect.name, version)))
    if differences:
        raise problem(
            "wrong-store",
            f"{database.location} is not as Sendroute created it: {_listed(differences)}.",
            "Nothing was changed. Use another copy of the store. If you changed the database"
            " yourself, undo that change.",
        )
    return version


def digests(objects: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The digest of each object, from its name and its definition."""
    present: dict[str, str] = {}
    for name, definition in objects:
        digest = hashlib.sha256(definition.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        present[f"another {name}" if name in present else name] = digest
    return present


def expected_objects(dialect: str, version: str) -> Objects:
    """What the migrations up to ``version`` create in a database of this kind. Empty for a version
    that no Sendroute has written."""
    changes = _recorded()[dialect]
    if version not in changes:
        return {}
    objects: dict[str, str] = {}
    for step in sorted(changes):
        if step <= version:
            for name, digest in changes[step].items():
                if digest is None:
                    del objects[name]
                else:
                    objects[name] = digest
    return objects


@cache
def _recorded() -> dict[str, dict[str, dict[str, str | None]]]:
    return msgspec.json.decode(
        OBJECTS.read_bytes(), type=dict[str, dict[str, dict[str, str | None]]]
    )


def _differences(present: Objects, expected: Objects) -> Iterator[str]:
    for name in sorted(present.keys() - expected.keys()):
        yield f"the {_shown(name)} is not Sendroute's"
    for name in sorted(expected.keys() - present.keys()):
        yield f"the {_shown(name)} is missing"
    for name in sorted(present.keys() & expected.keys()):
        if present[name] != expected[name]:
            yield f"the {_shown(name)} is different"


def _shown(name: str) -> str:
    """The kind, and the name in quotes: another program may have chosen it."""
    kind, _, rest = name.rpartition(" ") if name.startswith("another ") else name.partition(" ")
    return f"{kind} `{ascii(rest)[1:-1][:80]}`"


def _listed(differences: list[str]) -> str:
    more = len(differences) - _LISTED
    return ", ".join(differences[:_LISTED]) + (f", and {more} more" if more > 0 else "")
