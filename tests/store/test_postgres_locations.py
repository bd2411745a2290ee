"""Invalid URLs, databases, users and servers are reported without a password and not modified."""

import os
import signal
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text
from tests.postgres import Cluster

from sendroute.model.current import DomainState
from sendroute.model.problem import ProblemError
from sendroute.model.route import MANAGED, Origin
from sendroute.store import create
from sendroute.store.create import init_store
from sendroute.store.postgres.server import server_of
from sendroute.store.record import open_store
from sendroute.store.tables import HEAD

PASSWORD = "hunter2"


def refusal(opening: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(ProblemError) as caught:
        opening()
    [finding] = caught.value.findings
    text = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + str(finding)
    assert PASSWORD not in text
    assert finding.hint
    return finding.code, finding.message


# URLs

UNREADABLE = (
    f"postgresql://user:{PASSWORD}@host:port/db",
    f"postgresql://user:{PASSWORD}:x@host:{PASSWORD}/db",
    f"postgresql://user:%{PASSWORD}@host/db",
    f"postgresql://user:pass@{PASSWORD}@host/db",
    f"postgresql://user:1/{PASSWORD}@host/db",
    f"postgresql://user:{PASSWORD}/x@host/db",
    f"postgresql://user:{PASSWORD}@host/db?sslmod=require",
    f"postgresql://[{PASSWORD}/db",
    f"postgresql://user:{PASSWORD}@host/db?{PASSWORD}",
    f"postgres://user:{PASSWORD}@host/d\0b",
    f"postgres://user:{PASSWORD}%00@host/db",
    f"postgres://user:{PASSWORD}%ff@host/db",
    f"postgres://user:{PASSWORD}\udcff@host/db",
    f"postgresql://host/db;password={PASSWORD}",
    f"postgresql://host/db password={PASSWORD}",
    f"postgresql://user%3A{PASSWORD}%40host/db",
    f"postgresql://user%3A{PASSWORD}@host",
    f"postgresql:///db?host=user:{PASSWORD}@host",
    f"postgresql:///?dbname=postgresql://user:{PASSWORD}@host/db",
    f"postgresql:///?service=user:{PASSWORD}@host",
    f"host=db.example user=ada password={PASSWORD}",
    f"postgresql+psycopg://user:{PASSWORD}@host/db",
    f"postgresq://user:{PASSWORD}@host/db",
    f"Postgresql://user:{PASSWORD}@host/db",
    f"postgresql//user:{PASSWORD}@host/db",
    f"postgresql:user:{PASSWORD}@host/db",
    f" postgresql://user:{PASSWORD}@host/db",
    f"{PASSWORD}://user@host/db",
    f"{PASSWORD}:user@host/db",
)


@pytest.mark.parametrize("url", UNREADABLE)
def test_an_invalid_url_is_an_invalid_value(url: str) -> None:
    assert refusal(lambda: open_store(url))[0] == "invalid-value"


def test_a_url_with_a_missing_slash_is_reported_with_its_scheme_only() -> None:
    code, message = refusal(lambda: open_store(f"postgresql:/u:{PASSWORD}@host/db"))
    assert (code, message) == (
        "invalid-value",
        "The scheme 'postgresql' of the store's URL is unknown.",
    )


LOCATIONS = {
    f"postgresql://ada:{PASSWORD}@db.example:6543/mail": "postgresql://db.example:6543/mail",
    "postgres://ada@db.example/mail?sslmode=require": "postgresql://db.example:5432/mail",
    "postgresql://ada@[::1]/mail": "postgresql://[::1]:5432/mail",
    "postgresql://ada@db.example": "postgresql://db.example:5432/ada",
    "postgresql:///mail?host=/run/postgresql": (
        "postgresql:///mail?host=/run/postgresql&port=5432"
    ),
    f"postgresql:///mail?host=a,b&port=1,2&password={PASSWORD}": "postgresql://a:1,b:2/mail",
    "postgresql:///?service=mail": "postgresql:///?service=mail",
    f"postgresql://ada:{PASSWORD}@db.example/?service=mail": (
        "postgresql:///?service=mail&host=db.example"
    ),
    "postgresql://a,b/mail?hostaddr=::1,10.0.0.1": (
        "postgresql://a:5432,b:5432/mail?hostaddr=::1,10.0.0.1"
    ),
    "postgresql:///mail?host=/run/postgresql&hostaddr=10.0.0.1": "postgresql://10.0.0.1:5432/mail",
    "postgresql://db.example/%1b[31mred": "postgresql://db.example:5432/%1B%5B31mred",
}


@pytest.mark.parametrize(("url", "location"), LOCATIONS.items())
def test_the_shown_url_has_host_port_and_database(url: str, location: str) -> None:
    server = server_of(url)
    assert server.location == location
    assert PASSWORD not in repr(server)
    assert PASSWORD not in str(server)


def test_environment_variables_supply_what_the_url_omits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db.example")
    monkeypatch.setenv("PGDATABASE", "mail")
    assert server_of("postgresql://").location == "postgresql://db.example:5432/mail"


def test_an_address_that_is_asked_instead_of_the_host_is_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = "postgresql://db.example/mail"
    monkeypatch.setenv("PGHOSTADDR", "10.0.0.1")
    assert server_of(url).location == "postgresql://db.example:5432/mail?hostaddr=10.0.0.1"
    assert server_of("postgresql:///mail").location == "postgresql://10.0.0.1:5432/mail"
    services = tmp_path / "services.conf"
    services.write_text("[other]\nhost=db.other\nhostaddr=10.0.0.2\nport=6543\ndbname=mail\n")
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    monkeypatch.setenv("PGSERVICE", "other")
    assert server_of(url).location == "postgresql://db.example:6543/mail?hostaddr=10.0.0.2"
    other = "postgresql://db.other:6543/mail?hostaddr=10.0.0.2"
    assert server_of("postgresql://").location == other


# Ways to give a password


@pytest.fixture(scope="module")
def server_with_password() -> Iterator[Cluster]:
    """A server with password authentication for `ada`, who owns the database `mail`."""
    with Cluster() as server:
        with server.connect() as connection:
            connection.execute(sql.SQL("CREATE ROLE ada LOGIN PASSWORD {}").format(PASSWORD))
            connection.execute("CREATE ROLE eve LOGIN")
            connection.execute("CREATE DATABASE mail OWNER ada TEMPLATE template0")
            connection.execute(
                "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'"
            )
        rules = "local all tests trust\nhost all tests 127.0.0.1/32 trust\n"
        rules += "host all eve 127.0.0.1/32 reject\nhost all all 127.0.0.1/32 scram-sha-256\n"
        (server.data / "pg_hba.conf").write_text(rules)
        os.kill(server.pid, signal.SIGHUP)
        with server.connect() as connection:
            connection.execute("SELECT pg_reload_conf()")
        yield server


def test_a_password_is_read_from_the_url_or_from_the_sources_of_libpq(
    server_with_password: Cluster, say: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = f"postgresql://ada@127.0.0.1:{server_with_password.port}/mail"
    with init_store(bare.replace("ada@", f"ada:{PASSWORD}@"), say.provenance) as store:
        assert store.location == f"postgresql://127.0.0.1:{server_with_password.port}/mail"
    code, message = refusal(lambda: open_store(bare))
    assert code == "store-failed"
    assert "requires a password" in message
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    open_store(bare).close()
    monkeypatch.delenv("PGPASSWORD")
    passwords = tmp_path / "passwords"
    passwords.write_text(f"127.0.0.1:{server_with_password.port}:mail:ada:{PASSWORD}\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    open_store(bare).close()
    services = tmp_path / "services"
    services.write_text(
        f"[mail]\nhost=127.0.0.1\nport={server_with_password.port}\ndbname=mail\nuser=ada\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    with open_store("postgresql:///?service=mail") as store:
        assert store.read().revision == 0
        assert store.location == "postgresql:///?service=mail"


REFUSED = {
    "a wrong password": (f"ada:{PASSWORD}x", "mail", "refused the user"),
    "no password": ("ada", "mail", "requires a password"),
    "an unknown user": (f"bob:{PASSWORD}", "mail", "refused the user"),
    "a user without access": ("eve", "mail", "does not allow the database user"),
    "an unknown database": ("tests", "none", "does not exist"),
}


@pytest.mark.parametrize(("user", "database", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_a_refused_connection_is_reported_with_its_reason(
    server_with_password: Cluster, user: str, database: str, says: str
) -> None:
    url = f"postgresql://{user}@127.0.0.1:{server_with_password.port}/{database}"
    code, message = refusal(lambda: open_store(url))
    assert code == "store-failed"
    assert says in message


def test_a_stopped_server_and_an_unknown_host_are_reported() -> None:
    with Cluster() as server:
        url = server.url("postgres")
    assert "cannot be reached" in refusal(lambda: open_store(url))[1]
    url = "postgresql://ada@no-such-host.invalid/mail?connect_timeout=2"
    assert "has no address" in refusal(lambda: open_store(url))[1]
    for host in ("db..example", "x" * 64 + ".example"):
        url = f"postgresql://ada:{PASSWORD}@{host}/mail"
        assert "has no address" in refusal(lambda: open_store(url))[1]  # noqa: B023
    url = "postgresql:///mail?host=/nowhere"
    assert "cannot be reached" in refusal(lambda: open_store(url))[1]


NOWHERE = (
    "port=99999",
    "port=0",
    "service=none",
    "sslmode=perhaps",
    f"connect_timeout={PASSWORD}",
    f"target_session_attrs={PASSWORD}",
    f"keepalives={PASSWORD}",
    f"options=-c%20{PASSWORD}%3D1",
    "options=-c%20work_mem%3Dmuch",
)


@pytest.mark.parametrize("words", NOWHERE)
def test_a_parameter_that_the_server_refuses_is_reported(cluster: Cluster, words: str) -> None:
    """The message has the reason, so nobody must look for it in the log of the server."""
    url = f"postgresql://tests:{PASSWORD}@127.0.0.1/postgres?port={cluster.port}&{words}"
    code, message = refusal(lambda: open_store(url))
    assert (code, "invalid port, service or parameter" in message) == ("store-failed", True)


@pytest.mark.parametrize("role", ["standby", "read-only"])
def test_a_server_without_the_requested_role_is_refused(postgres_url: str, role: str) -> None:
    message = refusal(lambda: open_store(f"{postgres_url}?target_session_attrs={role}"))[1]
    assert "has the role" in message


def test_required_encryption_that_the_server_does_not_offer_is_reported(postgres_url: str) -> None:
    message = refusal(lambda: open_store(f"{postgres_url}?sslmode=require"))[1]
    assert "encrypted connection" in message


def test_a_database_that_is_not_utf_8_is_refused(server_with_password: Cluster, say: Any) -> None:
    code, message = refusal(lambda: init_store(server_with_password.url("latin"), say.provenance))
    assert (code, "is not UTF8" in message) == ("store-failed", True)


def test_a_server_without_free_connections_is_reported(cluster: Cluster, postgres_url: str) -> None:
    with cluster.connect() as connection:
        connection.execute("CREATE ROLE few LOGIN CONNECTION LIMIT 0")
    try:
        message = refusal(lambda: open_store(postgres_url.replace("tests@", "few@")))[1]
        assert "no free connections" in message
    finally:
        with cluster.connect() as connection:
            connection.execute("DROP ROLE few")


# The content of the database


def test_an_empty_database_is_not_initialised(postgres_url: str) -> None:
    assert refusal(lambda: open_store(postgres_url))[0] == "not-initialised"


def test_names_are_sorted_independently_of_the_database_locale(cluster: Cluster, say: Any) -> None:
    name = cluster.create_database("LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")
    names = ["a-b.example", "ab.example", "a.example", "a_b.example", "a1.example"]
    with psycopg.connect(cluster.url(name)) as connection:
        by_language = "SELECT array_agg(n ORDER BY n) FROM unnest(%s::text[]) AS n"
        assert connection.execute(by_language, [names]).fetchone() != (sorted(names),)
    with init_store(cluster.url(name), say.provenance) as store:
        store.commit([say.start(*names)], None, say.provenance)
        assert [row.domain for row in store.routes()] == sorted(names)
    cluster.drop_database(name)


def test_an_existing_empty_schema_is_used(postgres_url: str, say: Any) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE SCHEMA sendroute")
    assert refusal(lambda: open_store(postgres_url))[0] == "not-initialised"
    init_store(postgres_url, say.provenance).close()


def test_tables_of_other_programs_in_the_database_are_ignored(postgres_url: str, say: Any) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE domain (theirs text)")
        connection.execute("CREATE TABLE alembic_version (version_num text)")
        connection.execute("INSERT INTO alembic_version VALUES ('af31c0')")
    assert refusal(lambda: open_store(postgres_url))[0] == "not-initialised"
    with init_store(postgres_url, say.provenance) as store:
        store.commit([say.start("a.example")], None, say.provenance)
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT count(*) FROM domain").fetchone() == (0,)
        made = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        assert connection.execute(made).fetchone() == (2,)


STRANGERS = {
    "other tables in a schema with our name": "CREATE TABLE sendroute.x (y text)",
    "an unknown version": (
        "CREATE TABLE sendroute.alembic_version AS SELECT 'af31c0'::text AS version_num"
    ),
    "a version without a row": "CREATE TABLE sendroute.alembic_version (version_num text)",
    "our version and none of our tables": (
        f"CREATE TABLE sendroute.alembic_version AS SELECT '{HEAD}'::text AS version_num"
    ),
    "an older version and none of our tables": (
        "CREATE TABLE sendroute.alembic_version AS SELECT '0003'::text AS version_num"
    ),
}


@pytest.mark.parametrize("made", STRANGERS.values(), ids=STRANGERS.keys())
def test_a_foreign_schema_is_refused_and_not_modified(
    postgres_url: str, say: Any, made: str
) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE SCHEMA sendroute")
        connection.execute(made)

    def read() -> None:
        with open_store(postgres_url) as store:
            store.read()

    assert refusal(read)[0] == "wrong-store"
    assert refusal(lambda: init_store(postgres_url, say.provenance))[0] == "store-exists"
    with psycopg.connect(postgres_url) as connection:
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'sendroute'"
        assert connection.execute(tables).fetchone() == (1,)


def test_a_foreign_function_in_the_schema_is_refused(postgres_url: str, say: Any) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE SCHEMA sendroute")
        connection.execute(
            "CREATE FUNCTION sendroute.refuse_any() RETURNS int LANGUAGE sql AS 'SELECT 1'"
        )
    assert refusal(lambda: open_store(postgres_url))[0] == "wrong-store"
    assert refusal(lambda: init_store(postgres_url, say.provenance))[0] == "store-exists"


@pytest.mark.parametrize("before", [False, True], ids=["after", "before"])
@pytest.mark.parametrize("setting", ["datestyle = 'SQL, DMY'", "quote_all_identifiers = on"])
def test_settings_of_the_database_change_nothing(
    postgres_url: str, say: Any, setting: str, before: bool
) -> None:
    if not before:
        init_store(postgres_url, say.provenance).close()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL(f"ALTER DATABASE {{}} SET {setting}").format(name))
    if before:
        init_store(postgres_url, say.provenance).close()
    with open_store(postgres_url) as store:
        assert store.history()[0].at == say.provenance.at


def test_a_schema_that_is_created_otherwise_is_not_left_behind(
    postgres_url: str, say: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("sendroute.store.create._new", _new_with_a_table)
        assert refusal(lambda: init_store(postgres_url, say.provenance))[0] == "wrong-store"
    init_store(postgres_url, say.provenance).close()


_NEW = create._new


def _new_with_a_table(connection: Any, provenance: Any, commit_id: str | None) -> None:
    _NEW(connection, provenance, commit_id)
    connection.execute(text("CREATE TABLE unexpected (x int)"))


# Rights


def test_a_user_without_create_privilege_creates_no_store(
    server_with_password: Cluster, say: Any
) -> None:
    url = f"postgresql://ada:{PASSWORD}@127.0.0.1:{server_with_password.port}/postgres"
    code, message = refusal(lambda: init_store(url, say.provenance))
    assert (code, "required privileges" in message) == ("store-failed", True)
    assert refusal(lambda: open_store(url))[0] == "not-initialised"


def test_a_user_with_read_access_can_read(postgres_url: str, say: Any) -> None:
    init_store(postgres_url, say.provenance).close()
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE ROLE looks LOGIN")
        connection.execute("CREATE ROLE stranger LOGIN")
        connection.execute("GRANT USAGE ON SCHEMA sendroute TO looks")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA sendroute TO looks")
    try:
        with open_store(postgres_url.replace("tests@", "looks@")) as store:
            assert store.read().revision == 0
            written = lambda: store.commit([say.plan(0, say.account())], None, say.provenance)  # noqa: E731
            assert "required privileges" in refusal(written)[1]
        message = refusal(lambda: open_store(postgres_url.replace("tests@", "stranger@")))[1]
        assert "required privileges" in message
    finally:
        with psycopg.connect(postgres_url) as connection:
            connection.execute("DROP OWNED BY looks")
            connection.execute("DROP ROLE looks")
            connection.execute("DROP ROLE stranger")


def test_a_read_only_database_can_be_read_but_not_written(postgres_url: str, say: Any) -> None:
    init_store(postgres_url, say.provenance).close()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        connection.execute(
            sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name)
        )
    with open_store(postgres_url) as store:
        assert store.read().revision == 0
        with store.watch() as changes:
            assert not changes.wait(0)
        code, message = refusal(lambda: store.commit([say.start()], None, say.provenance))
    assert (code, "is read-only" in message) == ("store-failed", True)


def test_a_full_disk_keeps_the_previous_state(postgres_url: str, say: Any) -> None:
    """A trigger raises the server's error for a full disk in the middle of the rows."""
    with init_store(postgres_url, say.provenance) as store:
        with psycopg.connect(postgres_url) as connection:
            connection.execute(
                "CREATE FUNCTION sendroute.full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                " RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$"
            )
            connection.execute(
                "CREATE TRIGGER fills BEFORE INSERT ON sendroute.domain FOR EACH ROW"
                " WHEN (NEW.name > 'd1500') EXECUTE FUNCTION sendroute.full()"
            )
        state = DomainState(MANAGED, Origin.DEFAULT)
        made = [say.domain(f"d{n:04}.example", None, state) for n in range(2000)]
        change = say.plan(0, say.account(), *made)
        code, message = refusal(lambda: store.commit([change], None, say.provenance))
        assert (code, "is full" in message) == ("store-failed", True)
        assert store.read().accounts == {}
        assert len(store.history()) == 1


def test_invalid_values_are_reported_as_damage(postgres_url: str, say: Any) -> None:
    with init_store(postgres_url, say.provenance) as store:
        store.commit([say.start("a.example")], None, say.provenance)
        with psycopg.connect(postgres_url) as connection:
            connection.execute("UPDATE sendroute.profile SET spec = '{', version = 2")
        code, message = refusal(store.read)
    assert (code, "is damaged" in message) == ("store-failed", True)


def test_a_missing_revision_is_reported_as_damage(postgres_url: str, say: Any) -> None:
    with init_store(postgres_url, say.provenance) as store:
        with psycopg.connect(postgres_url) as connection:
            connection.execute("UPDATE sendroute.store SET revision = 9")
        assert "is damaged" in refusal(store.status)[1]
        assert "is damaged" in refusal(store.head)[1]
