"""The migrations make exactly the tables that the program speaks of."""

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, event

from sendroute.model.problem import ProblemError
from sendroute.store import migrate
from sendroute.store.address import APPLICATION_ID
from sendroute.store.database import connect, writing
from sendroute.store.record import Store, open_store
from sendroute.store.tables import HEAD, metadata


def test_no_difference_is_left_to_migrate(store: Store) -> None:
    with store._engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_checks_and_keys_are_the_same_too(store: Store) -> None:
    """Alembic does not compare checks, so the statements are compared, clause by clause."""
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    assert clauses(store._engine) == clauses(engine)
    engine.dispose()


def clauses(engine: Any) -> dict[str, list[str]]:
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'index')"
            " AND sql IS NOT NULL AND name NOT LIKE 'alembic%' AND name NOT LIKE 'sqlite%'"
        ).all()
    # What ALTER TABLE adds stands behind the constraints, on the last line.
    return {
        name: sorted(
            clause
            for part in re.split(r"\n|, (?=\w+ \w+)", sql)
            if (clause := re.sub(r"\s+", " ", part).strip(" ,").removesuffix(")").strip())
        )
        for name, sql in rows
    }


def test_the_program_knows_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    script = ScriptDirectory.from_config(config)
    assert script.get_heads() == [HEAD]
    ids = [step.revision for step in script.walk_revisions()]
    assert ids == sorted(ids, reverse=True)


def stamped(path: Path, version: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("UPDATE alembic_version SET version_num = ?", (version,))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A store as the first version made it, with something in it."""
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    engine = connect(path, 5)
    with writing(engine) as connection:
        migrate.migrate(connection, "0001")
        connection.exec_driver_sql(
            "INSERT INTO revision VALUES (0, '2026-01-01 00:00:00', 'ada', NULL)"
        )
        connection.exec_driver_sql(
            "INSERT INTO store VALUES (1, 'old-lineage', 0, 0, '2026-01-01 00:00:00')"
        )
    engine.dispose()
    return path


def test_an_older_store_is_brought_forward_and_keeps_what_it_holds(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(old.parent)  # where no alembic.ini is
    with open_store("sqlite:///old.db") as store:
        assert store.read().lineage == "old-lineage"
        assert store.relays() == ()


def test_a_migration_that_fails_leaves_the_old_store(old: Path) -> None:
    with closing(sqlite3.connect(old)) as raw:
        raw.execute("CREATE TABLE relay (x)")
        before = list(raw.iterdump())
    engine = connect(old, 5)
    failed = []
    event.listen(engine, "handle_error", lambda context: failed.append(context.statement))
    with pytest.raises(Exception, match="already exists"), writing(engine) as connection:
        migrate.migrate(connection)
    engine.dispose()
    assert failed
    with closing(sqlite3.connect(old)) as raw:
        assert list(raw.iterdump()) == before


@pytest.mark.usefixtures("store")
def test_a_newer_store_is_refused_and_left_alone(store_url: str, tmp_path: Path) -> None:
    stamped(tmp_path / "sendroute.db", "9999")
    with pytest.raises(ProblemError) as caught:
        open_store(store_url)
    assert [found.code for found in caught.value.findings] == ["store-version"]


@pytest.mark.usefixtures("store")
def test_opening_a_store_of_today_imports_no_alembic(store_url: str) -> None:
    script = (
        "import sys; from sendroute.store.record import open_store;"
        f"open_store({store_url!r}).read(); sys.exit('alembic' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
