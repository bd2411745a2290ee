"""Brings a store's schema forward. The only module that imports Alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def migrate(connection: Connection, to: str = "head") -> None:
    """Runs the migrations that are missing, within the caller's transaction."""
    config = Config()
    folder = Path(__file__).parent / "migrations"
    # Alembic reads its options through ConfigParser, to which % is special.
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    command.upgrade(config, to)
