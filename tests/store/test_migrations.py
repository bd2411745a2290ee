"""The migrations create exactly the tables that the code defines."""

import re
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from functools import partial
from multiprocessing.connection import Connection as PipeEnd
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine
from sqlalchemy.schema import CreateSequence
from tests.postgres import Cluster

from sendroute.model.account_status import Approval, StatusReason
from sendroute.model.desired import AccountKey
from sendroute.model.problem import ProblemError
from sendroute.model.provenance import Head
from sendroute.store import migrate
from sendroute.store.backend import open_database
from sendroute.store.create import init_store
from sendroute.store.record import Store, open_store
from sendroute.store.tables import HEAD, metadata, profile_id, revision_id

from .raw import Raw, make_old, opened


def test_the_migrations_match_the_tables_of_the_code(store: Store) -> None:
    with store._database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_the_migrations_create_the_same_constraints(tmp_path: Path, say: Any) -> None:
    """Alembic does not compare CHECK constraints, so this test compares the clauses of the SQL."""
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    with init_store(f"sqlite:///{tmp_path}/x.db", say.provenance) as store:
        assert clauses(store._database.engine) == clauses(engine)
    engine.dispose()


def clauses(engine: Any) -> dict[str, list[str]]:
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'index')"
            " AND sql IS NOT NULL AND name NOT LIKE 'alembic%' AND name NOT LIKE 'sqlite%'"
        ).all()
    # Columns added by ALTER TABLE come after the constraints, on the last line.
    return {
        name: sorted(
            clause
            for part in re.split(r"\n|, (?=\w+ \w+)", sql)
            if (clause := re.sub(r"\s+", " ", part).strip(" ,").removesuffix(")").strip())
        )
        for name, sql in rows
    }


def test_the_migrations_create_the_same_constraints_in_postgresql(
    cluster: Cluster, postgres_url: str, say: Any
) -> None:
    name = cluster.create_database()
    engine = create_engine(
        cluster.url(name).replace("postgresql:", "postgresql+psycopg:"),
        connect_args={"options": "-c search_path=sendroute"},
    )
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA sendroute")
        metadata.create_all(connection)
        for sequence in (revision_id, profile_id):
            connection.execute(CreateSequence(sequence))
    init_store(postgres_url, say.provenance).close()
    assert described(postgres_url) == described(cluster.url(name))
    engine.dispose()
    cluster.drop_database(name)


DESCRIBED = (
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = 'sendroute'::regnamespace AND contype <> 't'",
    "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'sendroute'",
    "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,"
    " coll.collname, pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute AS a"
    " JOIN pg_class AS c ON c.oid = a.attrelid AND c.relkind = 'r' AND a.attnum > 0"
    " LEFT JOIN pg_collation AS coll ON coll.oid = a.attcollation"
    " LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum"
    " WHERE c.relnamespace = 'sendroute'::regnamespace",
    "SELECT relname, relkind, reloptions FROM pg_class"
    " WHERE relnamespace = 'sendroute'::regnamespace",
    "SELECT sequencename, start_value, min_value FROM pg_sequences WHERE schemaname = 'sendroute'",
)


def described(url: str) -> list[list[str]]:
    with opened(url) as connection:
        results = ([*map(repr, connection.execute(query))] for query in DESCRIBED)
        return [sorted(row for row in rows if "alembic" not in row) for rows in results]


def test_the_code_expects_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    script = ScriptDirectory.from_config(config)
    assert script.get_heads() == [HEAD]
    ids = [step.revision for step in script.walk_revisions()]
    assert ids == sorted(ids, reverse=True)


@pytest.fixture
def old(store_url: str) -> str:
    """A store with the schema of the first version, with one row of each kind."""

    def fill(connection: Connection) -> None:
        moment = "'2026-01-01 00:00:00'"
        connection.exec_driver_sql(f"INSERT INTO revision VALUES (0, {moment}, 'ada', NULL)")  # noqa: S608
        connection.exec_driver_sql(f"INSERT INTO store VALUES (1, 'lineage', 0, 0, {moment})")  # noqa: S608

    make_old(store_url, "0001", fill)
    return store_url


def test_migration_keeps_the_content_of_an_older_store(
    old: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a directory without alembic.ini
    with open_store(old) as store:
        assert store.read().lineage == "lineage"
        assert store.relays() == ()


def test_revisions_after_a_migration_have_higher_ids(old: str, say: Any) -> None:
    with open_store(old) as store:
        assert store.commit([say.plan(0, say.account())], None, say.provenance) == 1
    with opened(old) as connection:
        assert connection.execute("SELECT id, number FROM revision ORDER BY id").fetchall() == [
            (0, 0),
            (1, 1),
        ]


def fill_version_6(connection: Connection) -> None:
    """A store as schema 0006 held it: a named commit, and an account that is held back."""
    moment = "'2026-01-01 00:00:00'"
    lineage, commit_id = "0" * 8 + "-0000-0000-0000-" + "0" * 12, str(UUID(int=6))
    for statement in (
        f"INSERT INTO revision (id, number, at, actor, attempt) VALUES (0, 0, {moment}, 'ada',"  # noqa: S608
        f" '{commit_id}')",
        "INSERT INTO store (id, lineage, revision, last_profile, created_at)"  # noqa: S608
        f" VALUES (1, '{lineage}', 0, 0, {moment})",
        "INSERT INTO standing (namespace, account, outcome, digest, shown, since, approved,"  # noqa: S608
        f" approved_by, approved_at) VALUES ('a', 'b', 'held-back', 'd1', '{{}}', {moment}, 'd1',"
        f" 'bob', {moment})",
    ):
        connection.exec_driver_sql(statement)


def test_commit_ids_and_account_statuses_keep_their_values(store_url: str) -> None:
    make_old(store_url, "0006", fill_version_6)
    with open_store(store_url) as store:
        assert store.head() == Head(0, str(UUID(int=6)))
        assert store.contains(store.head())
        (status,) = store.account_statuses().values()
    assert (status.key, status.reason) == (AccountKey("a", "b"), StatusReason.HELD_BACK)
    assert status.approval == Approval("d1", "bob", datetime(2026, 1, 1, tzinfo=UTC))


def fill_version_10(connection: Connection) -> None:
    """A store as schema 0010 held it: the positions of findings under their old key."""
    moment = "'2026-01-01 00:00:00'"
    finding = '{"code":"no-platform","severity":"error","message":"m","place":"a.yaml:1:2"}'
    for statement in (
        f"INSERT INTO revision (id, number, at, actor, commit_id) VALUES (0, 0, {moment}, 'ada',"  # noqa: S608
        f" '{UUID(int=6)}')",
        "INSERT INTO store (id, lineage, revision, last_profile, created_at)"  # noqa: S608
        f" VALUES (1, '{UUID(int=0)}', 0, 0, {moment})",
        "INSERT INTO account_status (namespace, account, reason, report, since) VALUES ('a', 'b',"  # noqa: S608
        f""" 'failed', '{{"findings":[{finding}],"more":2}}', {moment})""",
        "INSERT INTO followed_source (name, faults, faulty_since)"  # noqa: S608
        f" VALUES ('manifests', '[{finding}]', {moment})",
    ):
        connection.exec_driver_sql(statement)


def test_findings_keep_their_positions(store_url: str) -> None:
    make_old(store_url, "0010", fill_version_10)
    with open_store(store_url) as store:
        (status,) = store.account_statuses().values()
        (source,) = store.followed_sources()
    assert (str(status.report.findings[0].position), status.report.more) == ("a.yaml:1:2", 2)
    assert (str(source.faults[0].position), source.seen_at) == ("a.yaml:1:2", None)


@pytest.mark.parametrize("value", ["{", "[]", "3", '{"findings":[3]}', "[" * 9000 + "]" * 9000])
def test_json_that_a_migration_cannot_read_is_damage(store_url: str, value: str) -> None:
    make_old(store_url, "0010", fill_version_10)
    with opened(store_url) as connection:
        connection.execute(f"UPDATE account_status SET report = '{value}'")  # noqa: S608
        before = connection.execute("SELECT * FROM alembic_version").fetchall()
        with pytest.raises(ProblemError) as caught:
            open_store(store_url)
        assert [finding.code for finding in caught.value.findings] == ["store-failed"]
        assert "is damaged" in caught.value.findings[0].message
        assert connection.execute("SELECT * FROM alembic_version").fetchall() == before


def test_a_backup_of_an_older_schema_creates_a_store(tmp_path: Path, say: Any) -> None:
    make_old(f"sqlite:///{tmp_path}/old.db", "0006", fill_version_6)
    url = f"sqlite:///{tmp_path}/new.db"
    with init_store(url, say.provenance, from_backup=tmp_path / "old.db") as store:
        assert store.contains(Head(0, str(UUID(int=6))))
        assert [entry.reason for entry in store.history()] == ["restored-from-backup"]


def test_a_migration_that_fails_leaves_the_old_store(old: str) -> None:
    with opened(old) as connection:
        connection.execute("CREATE TABLE relay (x INTEGER)")
        before = connection.execute("SELECT * FROM alembic_version").fetchall()
    database = open_database(old, 5)
    with pytest.raises(Exception, match="already exists"):
        database.write(migrate.migrate, alone=True)
    database.close()
    with opened(old) as connection:
        assert connection.execute("SELECT * FROM alembic_version").fetchall() == before
        with pytest.raises((sqlite3.OperationalError, psycopg.errors.UndefinedTable)):
            connection.execute("SELECT * FROM endpoint")


def open_and_send_lineage(url: str, sender: PipeEnd) -> None:
    with open_store(url) as store:
        sender.send(store.read().lineage)


def test_concurrent_opens_migrate_once(old: str, child: Any) -> None:
    children = [child(partial(open_and_send_lineage, old)) for _ in range(4)]
    assert [process.receive_all() for process in children] == [["lineage"]] * 4


def everything(connection: Raw) -> list[list[Any]]:
    return [connection.execute(f"SELECT * FROM {name}").fetchall() for name in metadata.tables]  # noqa: S608


@pytest.mark.usefixtures("store")
def test_a_newer_store_is_refused_and_not_modified(store_url: str) -> None:
    with opened(store_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        before = everything(connection)
        with pytest.raises(ProblemError) as caught:
            open_store(store_url)
        assert [finding.code for finding in caught.value.findings] == ["store-version"]
        assert everything(connection) == before


@pytest.mark.usefixtures("store")
def test_opening_a_current_store_does_not_import_alembic(store_url: str) -> None:
    script = (
        "import sys; from sendroute.store.record import open_store;"
        f"open_store({store_url!r}).read(); sys.exit('alembic' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
