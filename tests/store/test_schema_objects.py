"""A store whose schema differs from Sendroute's in anything is refused, and nothing of it runs."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from sendroute.model.problem import ProblemError
from sendroute.store import migrate
from sendroute.store.backend import open_database
from sendroute.store.backups import backup_store, open_backup
from sendroute.store.create import init_store
from sendroute.store.record import Store, open_store
from sendroute.store.schema import OBJECTS, digests
from sendroute.store.tables import metadata

from .raw import make_old, opened


def versions() -> list[str]:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    return sorted(step.revision for step in ScriptDirectory.from_config(config).walk_revisions())


def migrated(url: str, version: str) -> dict[str, str]:
    """The objects that the migrations up to this version create."""
    make_old(url, version, lambda _connection: None)
    with closing(open_database(url, 5)) as database, database.reading() as connection:
        return digests(database.objects(connection))


def changed(before: dict[str, str], after: dict[str, str]) -> dict[str, str | None]:
    new = {name: digest for name, digest in after.items() if before.get(name) != digest}
    return dict(sorted({**new, **dict.fromkeys(before.keys() - after.keys())}.items()))


@pytest.fixture
def fresh(
    store_url: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[[], str]]:
    """URLs of empty databases of one kind."""
    created: list[str] = []

    def make() -> str:
        if store_url.startswith("sqlite"):
            created.append(str(tmp_path / f"{len(created)}.db"))
            return f"sqlite:///{created[-1]}"
        cluster = request.getfixturevalue("cluster")
        created.append(cluster.create_database())
        return str(cluster.url(created[-1]))

    yield make
    if not store_url.startswith("sqlite"):
        for name in created:
            request.getfixturevalue("cluster").drop_database(name)


def test_the_recorded_objects_are_those_that_the_migrations_create(
    store_url: str, fresh: Callable[[], str], rewrite_cases: bool
) -> None:
    """After a new migration: `make schemas`."""
    kind = "sqlite" if store_url.startswith("sqlite") else "postgresql"
    steps, before = {}, dict[str, str]()
    for version in versions():
        after = migrated(fresh(), version)
        steps[version] = changed(before, after)
        before = after
    recorded = json.loads(OBJECTS.read_text()) if OBJECTS.exists() else {}
    if rewrite_cases:
        recorded[kind] = steps
        OBJECTS.write_text(json.dumps(dict(sorted(recorded.items())), indent=1) + "\n")
    assert recorded[kind] == steps


def test_a_store_of_any_version_is_opened(fresh: Callable[[], str]) -> None:
    """The objects are the same, whether a store was created by this version or upgraded to it."""
    for version in versions():
        url = fresh()
        make_old(url, version, lambda _connection: None)
        open_store(url).close()
        open_store(url).close()


SQLITE = {
    "a trigger": "CREATE TRIGGER strange AFTER INSERT ON revision BEGIN UPDATE domain SET kind ="
    " 'unconfigured', profile = NULL; END",
    "a table": "CREATE TABLE strange (x)",
    "a view": "CREATE VIEW strange AS SELECT * FROM domain",
    "an index": "CREATE INDEX strange ON domain (kind)",
    "a column": "ALTER TABLE domain ADD COLUMN strange TEXT",
    "a generated column": "ALTER TABLE domain ADD COLUMN strange TEXT AS (upper(name))",
    "no trigger": "DROP TRIGGER history_never_deleted",
    "no index": "DROP INDEX ix_history_name",
    "no table": "DROP TABLE relay",
    "another trigger of that name": "DROP TRIGGER history_never_deleted;"
    "CREATE TRIGGER history_never_deleted BEFORE DELETE ON relay BEGIN SELECT 1; END",
    "a table in place of a column's check": "ALTER TABLE relay RENAME TO old; CREATE TABLE relay"
    " (name TEXT NOT NULL, revision BIGINT NOT NULL, seen_at DATETIME NOT NULL,"
    " CONSTRAINT pk_relay PRIMARY KEY (name)); DROP TABLE old;"
    "CREATE TRIGGER again AFTER INSERT ON relay BEGIN SELECT 1; END",
    "a view in place of a table": "DROP TABLE relay; CREATE VIEW relay AS"
    " WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n",
    "an endless view in place of the version": "DROP TABLE alembic_version;"
    "CREATE VIEW alembic_version AS WITH RECURSIVE n(version_num)"
    " AS (SELECT 1 UNION ALL SELECT version_num + 1 FROM n) SELECT count(*) AS version_num FROM n",
}
POSTGRESQL = {
    "a trigger": "CREATE FUNCTION strange() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN RETURN NEW; END $$; CREATE TRIGGER strange BEFORE INSERT ON revision"
    " FOR EACH ROW EXECUTE FUNCTION strange()",
    "a trigger with a function elsewhere": "CREATE FUNCTION public.strange() RETURNS trigger"
    " LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$; CREATE TRIGGER strange BEFORE INSERT ON"
    " revision FOR EACH ROW EXECUTE FUNCTION public.strange()",
    "a table": "CREATE TABLE strange (x integer)",
    "a view": "CREATE VIEW strange AS SELECT * FROM domain",
    "an index": "CREATE INDEX strange ON domain (kind)",
    "a column": "ALTER TABLE domain ADD COLUMN strange text",
    "a generated column": "ALTER TABLE domain ADD COLUMN strange text"
    " GENERATED ALWAYS AS (upper(name)) STORED",
    "another type": "ALTER TABLE relay ALTER COLUMN revision TYPE integer",
    "a collation of that name elsewhere": 'CREATE COLLATION public."C" FROM "POSIX";'
    ' ALTER TABLE history ALTER COLUMN name TYPE text COLLATE public."C"',
    "a default": "ALTER TABLE domain ALTER COLUMN origin SET DEFAULT 'declared'",
    "no constraint": "ALTER TABLE domain DROP CONSTRAINT ck_domain_kind",
    "a weaker constraint": "ALTER TABLE domain DROP CONSTRAINT ck_domain_kind;"
    "ALTER TABLE domain ADD CONSTRAINT ck_domain_kind CHECK (kind <> '')",
    "a column that may be NULL": "ALTER TABLE domain ALTER COLUMN kind DROP NOT NULL",
    "no trigger": "DROP TRIGGER history_never_deleted ON history",
    "a disabled trigger": "ALTER TABLE history DISABLE TRIGGER history_never_deleted",
    "disabled foreign keys": "ALTER TABLE domain DISABLE TRIGGER ALL",
    "another function of that name": "CREATE OR REPLACE FUNCTION check_store() RETURNS trigger"
    " LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
    "a function with the rights of its owner": "ALTER FUNCTION check_store() SECURITY DEFINER",
    "a function": "CREATE FUNCTION strange() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "a rule": "CREATE RULE strange AS ON INSERT TO relay DO INSTEAD NOTHING",
    "a row policy": "CREATE POLICY strange ON domain USING (false)",
    "row security": "ALTER TABLE domain ENABLE ROW LEVEL SECURITY",
    "a child table": "CREATE TABLE public.strange () INHERITS (domain)",
    "a type": "CREATE TYPE strange AS ENUM ('a')",
    "a domain type": "CREATE DOMAIN strange AS text",
    "a foreign key from elsewhere": "CREATE TABLE public.strange (d text REFERENCES domain (name))",
    "an unlogged table": "ALTER TABLE relay SET UNLOGGED",
    "a cycling sequence": "ALTER SEQUENCE profile_id CYCLE",
    "a function that fits better than that of the server": "CREATE FUNCTION concat_ws(text, text,"
    " boolean, boolean) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'it ran'; END $$",
    "an operator that fits better than that of the server": "CREATE FUNCTION public.strange(text,"
    " name) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'it ran'; END $$;"
    " CREATE OPERATOR || (LEFTARG = text, RIGHTARG = name, FUNCTION = public.strange)",
    "an operator": "CREATE FUNCTION public.strange(text, text) RETURNS boolean LANGUAGE sql AS"
    " 'SELECT true'; CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text,"
    " FUNCTION = public.strange)",
    "an endless view in place of the version": "DROP TABLE alembic_version; CREATE VIEW"
    " alembic_version AS SELECT pg_sleep(3600)::text AS version_num",
}
DIFFERENT = [
    pytest.param(kind, statements, id=f"{kind}: {name}")
    for kind, cases in (("sqlite", SQLITE), ("postgresql", POSTGRESQL))
    for name, statements in cases.items()
]


def refusal(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(ProblemError) as caught:
        call()
    [finding] = caught.value.findings
    assert finding.hint
    return finding.code, finding.message


def alter(url: str, statements: str) -> None:
    with opened(url) as connection:
        if isinstance(connection, sqlite3.Connection):
            connection.executescript(statements)
        else:
            connection.execute(statements)


@pytest.mark.parametrize(("kind", "statements"), DIFFERENT)
def test_a_store_with_another_schema_is_not_opened(
    kind: str, statements: str, request: pytest.FixtureRequest, tmp_path: Path, say: Any
) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    if kind == "postgresql":
        url = request.getfixturevalue("postgres_url")
    init_store(url, say.provenance).close()
    alter(url, statements)
    code, message = refusal(lambda: open_store(url))
    assert code == "wrong-store"
    assert "is not as Sendroute created it: the " in message or "alembic_version" in statements
    assert refusal(lambda: backup_store(url, tmp_path / "copy.db"))[0] == "wrong-store"
    assert not (tmp_path / "copy.db").exists()


@pytest.fixture
def backup(tmp_path: Path, say: Any) -> Path:
    url = f"sqlite:///{tmp_path}/first.db"
    with init_store(url, say.provenance) as store:
        store.commit([say.start("a.example")], None, say.provenance)
    backup_store(url, tmp_path / "backup.db")
    return tmp_path / "backup.db"


@pytest.mark.parametrize("statements", SQLITE.values(), ids=SQLITE)
def test_a_backup_with_another_schema_creates_and_restores_nothing(
    backup: Path, statements: str, store_url: str, say: Any
) -> None:
    with closing(sqlite3.connect(backup)) as raw:
        raw.executescript(statements)
    before = sorted(backup.parent.iterdir())

    def restore() -> None:
        with open_backup(backup):
            pass

    assert refusal(restore)[0] == "wrong-store"
    new = store_url.replace("sendroute.db", "new.db")
    assert refusal(lambda: init_store(new, say.provenance, from_backup=backup))[0] == "wrong-store"
    assert sorted(backup.parent.iterdir()) == before
    assert refusal(lambda: open_store(new))[0] == "not-initialised"


def test_an_older_store_with_a_strangers_trigger_is_not_upgraded(store_url: str) -> None:
    make_old(store_url, "0006", lambda _connection: None)
    alter(store_url, "CREATE TABLE strange (x integer)")
    assert refusal(lambda: open_store(store_url))[0] == "wrong-store"
    with opened(store_url) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0006",)


def test_the_refusal_names_what_differs_without_control_characters(
    tmp_path: Path, say: Any
) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    init_store(url, say.provenance).close()
    alter(url, 'CREATE TABLE "a\x1b[31mb" (x); DROP TRIGGER history_never_deleted')
    assert refusal(lambda: open_store(url)) == (
        "wrong-store",
        f"{tmp_path}/x.db is not as Sendroute created it: the table `a\\x1b[31mb` is not"
        " Sendroute's, the trigger `history_never_deleted` is missing.",
    )


def test_what_an_administrator_may_set_is_no_difference(
    store: Store, store_url: str, say: Any
) -> None:
    store.commit([say.start("a.example")], None, say.provenance)
    statements = "ANALYZE"
    if store_url.startswith("postgres"):
        statements = (
            "ANALYZE; GRANT USAGE ON SCHEMA sendroute TO PUBLIC;"
            " ALTER DEFAULT PRIVILEGES IN SCHEMA sendroute GRANT SELECT ON TABLES TO PUBLIC;"
            " ALTER TABLE domain SET (autovacuum_vacuum_scale_factor = 0.01);"
            " COMMENT ON TABLE domain IS 'x'"
        )
    with opened(store_url) as connection:
        for statement in statements.split(";"):
            connection.execute(statement)
    open_store(store_url).close()


def test_every_table_is_compared() -> None:
    recorded = json.loads(OBJECTS.read_text())
    for steps in recorded.values():
        names = set[str]().union(*steps.values())
        assert {f"table {name}" for name in metadata.tables} <= names


def test_a_database_without_a_store_is_still_reported_as_such(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute("CREATE SCHEMA sendroute; CREATE TABLE sendroute.x ()")
    assert refusal(lambda: open_store(postgres_url))[0] == "wrong-store"
