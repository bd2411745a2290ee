"""Reads the version of a store's schema, and upgrades a schema that is older than this program."""

from sqlalchemy import Connection, String, column, select, table

from sendroute.store.database import Database
from sendroute.store.errors import not_ours, problem
from sendroute.store.tables import HEAD
from sendroute.store.translation import translated_errors

_VERSION = select(column("version_num", String)).select_from(table("alembic_version"))


def upgrade_schema(database: Database) -> None:
    """Run the migrations that are missing, without other writers.

    Raises :class:`~sendroute.model.problem.ProblemError`: ``wrong-store`` if it is not a store,
    ``store-version`` if a newer Sendroute wrote it.
    """
    location = database.location

    def upgrade(connection: Connection) -> None:
        if schema_version(connection, location) != HEAD:  # another process may have upgraded it
            migrate(connection)

    with translated_errors(location):
        with database.reading() as connection:
            if schema_version(connection, location) == HEAD:
                return
        # Imported here, because Alembic takes half of the start time and is rarely needed.
        from sendroute.store.migrate import migrate

        database.write(upgrade, alone=True)


def schema_version(connection: Connection, location: str) -> str:
    """The version of a store's schema. ``location`` is used in messages. Raises as
    :func:`upgrade_schema` does."""
    version = connection.execute(_VERSION).scalar()
    if not isinstance(version, str) or not version.isdecimal():
        raise not_ours(location)
    if int(version) > int(HEAD):
        raise problem(
            "store-version",
            f"The store {location} was written by a newer Sendroute.",
            "The store was not changed. Use the newer Sendroute for the store.",
        )
    return version
