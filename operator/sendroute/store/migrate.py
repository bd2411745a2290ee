"""Runs schema migrations. Only this module and the migrations import Alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def migrate(connection: Connection, to: str = "head") -> None:
    """Run the missing migrations up to version ``to`` in the caller's transaction."""
    config = Config()
    directory = Path(__file__).parent / "migrations"
    # Alembic reads its options with ConfigParser, which interprets %.
    config.set_main_option("script_location", str(directory).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    command.upgrade(config, to)
