"""URLs, databases, users and servers that are not what they should be: told plainly, never touched,
and never with a password."""

import os
import signal
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tests.postgres import Cluster

from sendroute.model.current import DomainState
from sendroute.model.problem import ProblemError
from sendroute.model.route import MANAGED, Origin
from sendroute.store.create import init_store
from sendroute.store.postgres.server import server_of
from sendroute.store.record import open_store
from sendroute.store.tables import HEAD

WORD = "hunter2"


def refusal(what: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(ProblemError) as caught:
        what()
    [found] = caught.value.findings
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + str(found)
    assert WORD not in told
    assert found.hint
    return found.code, found.message


# URLs

UNREADABLE = (
    f"postgresql://user:{WORD}@host:port/db",
    f"postgresql://user:{WORD}:x@host:{WORD}/db",
    f"postgresql://user:%{WORD}@host/db",
    f"postgresql://user:pass@{WORD}@host/db",
    f"postgresql://user:1/{WORD}@host/db",
    f"postgresql://user:{WORD}/x@host/db",
    f"postgresql://user:{WORD}@host/db?sslmod=require",
    f"postgresql://[{WORD}/db",
    f"postgresql://user:{WORD}@host/db?{WORD}",
    f"postgres://user:{WORD}@host/d\0b",
    f"postgres://user:{WORD}%00@host/db",
    f"postgres://user:{WORD}%ff@host/db",
    f"postgres://user:{WORD}\udcff@host/db",
)


@pytest.mark.parametrize("url", UNREADABLE)
def test_a_url_that_cannot_be_read_is_an_invalid_value(url: str) -> None:
    assert refusal(lambda: open_store(url))[0] == "invalid-value"


def test_only_the_scheme_is_told_of_a_url_with_a_slash_too_few() -> None:
    code, message = refusal(lambda: open_store(f"postgresql:/u:{WORD}@host/db"))
    assert (code, message) == (
        "invalid-value",
        "The scheme 'postgresql' of the store's URL is unknown.",
    )


PLACES = {
    f"postgresql://ada:{WORD}@db.example:6543/mail": "postgresql://db.example:6543/mail",
    "postgres://ada@db.example/mail?sslmode=require": "postgresql://db.example:5432/mail",
    "postgresql://ada@[::1]/mail": "postgresql://[::1]:5432/mail",
    "postgresql://ada@db.example": "postgresql://db.example:5432/ada",
    "postgresql:///mail?host=/run/postgresql": (
        "postgresql:///mail?host=/run/postgresql&port=5432"
    ),
    f"postgresql:///mail?host=a,b&port=1,2&password={WORD}": "postgresql://a:1,b:2/mail",
    "postgresql:///?service=mail": "postgresql:///?service=mail",
    "postgresql://db.example/%1b[31mred": "postgresql://db.example:5432/%1B%5B31mred",
}


@pytest.mark.parametrize(("url", "place"), PLACES.items())
def test_a_place_names_host_port_and_database(url: str, place: str) -> None:
    server = server_of(url)
    assert server.location == place
    assert WORD not in repr(server)
    assert WORD not in str(server)


def test_variables_say_what_the_url_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db.example")
    monkeypatch.setenv("PGDATABASE", "mail")
    assert server_of("postgresql://").location == "postgresql://db.example:5432/mail"


# Ways to give a password


@pytest.fixture(scope="module")
def guarded() -> Iterator[Cluster]:
    """A server that wants one from `ada`, who owns the database `mail`."""
    with Cluster() as server:
        with server.connect() as own:
            own.execute(sql.SQL("CREATE ROLE ada LOGIN PASSWORD {}").format(WORD))
            own.execute("CREATE ROLE eve LOGIN")
            own.execute("CREATE DATABASE mail OWNER ada TEMPLATE template0")
            own.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
        rules = "local all tests trust\nhost all tests 127.0.0.1/32 trust\n"
        rules += "host all eve 127.0.0.1/32 reject\nhost all all 127.0.0.1/32 scram-sha-256\n"
        (server.data / "pg_hba.conf").write_text(rules)
        os.kill(server.pid, signal.SIGHUP)
        with server.connect() as own:
            own.execute("SELECT pg_reload_conf()")
        yield server


def test_a_password_is_taken_from_the_url_or_from_where_libpq_has_it(
    guarded: Cluster, say: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = f"postgresql://ada@127.0.0.1:{guarded.port}/mail"
    with init_store(bare.replace("ada@", f"ada:{WORD}@"), say.provenance) as store:
        assert store.location == f"postgresql://127.0.0.1:{guarded.port}/mail"
    code, message = refusal(lambda: open_store(bare))
    assert code == "store-failed"
    assert "requires a password" in message
    monkeypatch.setenv("PGPASSWORD", WORD)
    open_store(bare).close()
    monkeypatch.delenv("PGPASSWORD")
    passwords = tmp_path / "passwords"
    passwords.write_text(f"127.0.0.1:{guarded.port}:mail:ada:{WORD}\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    open_store(bare).close()
    services = tmp_path / "services"
    services.write_text(f"[mail]\nhost=127.0.0.1\nport={guarded.port}\ndbname=mail\nuser=ada\n")
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    with open_store("postgresql:///?service=mail") as store:
        assert store.read().revision == 0
        assert store.location == "postgresql:///?service=mail"


REFUSED = {
    "a wrong password": (f"ada:{WORD}x", "mail", "refused this user"),
    "no password": ("ada", "mail", "requires a password"),
    "a user that is none": (f"bob:{WORD}", "mail", "refused this user"),
    "a user that is not let in": ("eve", "mail", "does not allow this user"),
    "a database that is none": ("tests", "none", "does not exist"),
}


@pytest.mark.parametrize(("user", "database", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_a_connection_that_is_refused_is_told_with_its_reason(
    guarded: Cluster, user: str, database: str, says: str
) -> None:
    url = f"postgresql://{user}@127.0.0.1:{guarded.port}/{database}"
    code, message = refusal(lambda: open_store(url))
    assert code == "store-failed"
    assert says in message


def test_a_server_that_is_away_and_a_host_that_is_none() -> None:
    with Cluster() as server:
        url = server.url("postgres")
    assert "cannot be reached" in refusal(lambda: open_store(url))[1]
    url = "postgresql://ada@no-such-host.invalid/mail?connect_timeout=2"
    assert "has no address" in refusal(lambda: open_store(url))[1]
    for host in ("db..example", "x" * 64 + ".example"):
        url = f"postgresql://ada:{WORD}@{host}/mail"
        assert "has no address" in refusal(lambda: open_store(url))[1]  # noqa: B023
    url = "postgresql:///mail?host=/nowhere"
    assert "cannot be reached" in refusal(lambda: open_store(url))[1]


NOWHERE = (
    "port=99999",
    "port=0",
    "service=none",
    "sslmode=perhaps",
    f"connect_timeout={WORD}",
    f"target_session_attrs={WORD}",
    f"keepalives={WORD}",
    f"options=-c%20{WORD}%3D1",
    "options=-c%20work_mem%3Dmuch",
)


@pytest.mark.parametrize("words", NOWHERE)
def test_a_parameter_that_asks_for_what_there_is_not(cluster: Cluster, words: str) -> None:
    """Nobody looks for it in the server's log."""
    url = f"postgresql://tests:{WORD}@127.0.0.1/postgres?port={cluster.port}&{words}"
    code, message = refusal(lambda: open_store(url))
    assert (code, "invalid port, service or parameter" in message) == ("store-failed", True)


@pytest.mark.parametrize("role", ["standby", "read-only"])
def test_a_server_of_another_role_than_asked_for(postgres_url: str, role: str) -> None:
    message = refusal(lambda: open_store(f"{postgres_url}?target_session_attrs={role}"))[1]
    assert "has the role" in message


def test_encryption_that_the_server_does_not_offer(postgres_url: str) -> None:
    message = refusal(lambda: open_store(f"{postgres_url}?sslmode=require"))[1]
    assert "encrypted connection" in message


def test_a_database_that_cannot_hold_every_character(guarded: Cluster, say: Any) -> None:
    code, message = refusal(lambda: init_store(guarded.url("latin"), say.provenance))
    assert (code, "is not UTF8" in message) == ("store-failed", True)


def test_more_connections_than_the_server_takes(cluster: Cluster, postgres_url: str) -> None:
    with cluster.connect() as own:
        own.execute("CREATE ROLE few LOGIN CONNECTION LIMIT 0")
    try:
        message = refusal(lambda: open_store(postgres_url.replace("tests@", "few@")))[1]
        assert "no free connections" in message
    finally:
        with cluster.connect() as own:
            own.execute("DROP ROLE few")


# What is there


def test_no_store_yet(postgres_url: str) -> None:
    assert refusal(lambda: open_store(postgres_url))[0] == "not-initialised"


def test_names_are_in_pythons_order_whatever_the_databases_language(
    cluster: Cluster, say: Any
) -> None:
    name = cluster.create_database("LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")
    names = ["a-b.example", "ab.example", "a.example", "a_b.example", "a1.example"]
    with psycopg.connect(cluster.url(name)) as own:
        by_language = "SELECT array_agg(n ORDER BY n) FROM unnest(%s::text[]) AS n"
        assert own.execute(by_language, [names]).fetchone() != (sorted(names),)
    with init_store(cluster.url(name), say.provenance) as store:
        store.commit([say.start(*names)], None, say.provenance)
        assert [row.domain for row in store.routes()] == sorted(names)
    cluster.drop_database(name)


def test_a_schema_that_was_made_for_us_is_used(postgres_url: str, say: Any) -> None:
    with psycopg.connect(postgres_url) as own:
        own.execute("CREATE SCHEMA sendroute")
    assert refusal(lambda: open_store(postgres_url))[0] == "not-initialised"
    init_store(postgres_url, say.provenance).close()


def test_tables_of_others_in_the_database_are_none_of_ours(postgres_url: str, say: Any) -> None:
    with psycopg.connect(postgres_url) as own:
        own.execute("CREATE TABLE domain (theirs text)")
        own.execute("CREATE TABLE alembic_version (version_num text)")
        own.execute("INSERT INTO alembic_version VALUES ('af31c0')")
    assert refusal(lambda: open_store(postgres_url))[0] == "not-initialised"
    with init_store(postgres_url, say.provenance) as store:
        store.commit([say.start("a.example")], None, say.provenance)
    with psycopg.connect(postgres_url) as own:
        assert own.execute("SELECT count(*) FROM domain").fetchone() == (0,)
        made = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        assert own.execute(made).fetchone() == (2,)


STRANGERS = {
    "tables of others in a schema of our name": "CREATE TABLE sendroute.x (y text)",
    "a version that is none of ours": (
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
def test_what_is_not_ours_is_refused_and_left_alone(postgres_url: str, say: Any, made: str) -> None:
    with psycopg.connect(postgres_url) as own:
        own.execute("CREATE SCHEMA sendroute")
        own.execute(made)

    def read() -> None:
        with open_store(postgres_url) as store:
            store.read()

    assert refusal(read)[0] == "wrong-store"
    assert refusal(lambda: init_store(postgres_url, say.provenance))[0] == "store-exists"
    with psycopg.connect(postgres_url) as own:
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'sendroute'"
        assert own.execute(tables).fetchone() == (1,)


def test_a_function_of_others_in_a_schema_of_our_name(postgres_url: str, say: Any) -> None:
    with psycopg.connect(postgres_url) as own:
        own.execute("CREATE SCHEMA sendroute")
        own.execute("CREATE FUNCTION sendroute.refuse_any() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    assert refusal(lambda: open_store(postgres_url))[0] == "wrong-store"
    assert refusal(lambda: init_store(postgres_url, say.provenance))[0] == "store-exists"


def test_dates_are_read_in_whatever_form_the_database_shows_them(
    postgres_url: str, say: Any
) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as own:
        name = sql.Identifier(own.info.dbname)
        own.execute(sql.SQL("ALTER DATABASE {} SET datestyle = 'SQL, DMY'").format(name))
    with init_store(postgres_url, say.provenance) as store:
        assert store.history()[0].at == say.provenance.at


# Rights


def test_who_may_not_make_a_store_is_told_and_leaves_none(guarded: Cluster, say: Any) -> None:
    url = f"postgresql://ada:{WORD}@127.0.0.1:{guarded.port}/postgres"
    code, message = refusal(lambda: init_store(url, say.provenance))
    assert (code, "required privileges" in message) == ("store-failed", True)
    assert refusal(lambda: open_store(url))[0] == "not-initialised"


def test_who_may_only_read_reads(postgres_url: str, say: Any) -> None:
    init_store(postgres_url, say.provenance).close()
    with psycopg.connect(postgres_url) as own:
        own.execute("CREATE ROLE looks LOGIN")
        own.execute("CREATE ROLE stranger LOGIN")
        own.execute("GRANT USAGE ON SCHEMA sendroute TO looks")
        own.execute("GRANT SELECT ON ALL TABLES IN SCHEMA sendroute TO looks")
    try:
        with open_store(postgres_url.replace("tests@", "looks@")) as store:
            assert store.read().revision == 0
            written = lambda: store.commit([say.plan(0, say.account())], None, say.provenance)  # noqa: E731
            assert "required privileges" in refusal(written)[1]
        told = refusal(lambda: open_store(postgres_url.replace("tests@", "stranger@")))[1]
        assert "required privileges" in told
    finally:
        with psycopg.connect(postgres_url) as own:
            own.execute("DROP OWNED BY looks")
            own.execute("DROP ROLE looks")
            own.execute("DROP ROLE stranger")


def test_a_store_that_can_only_be_read_here(postgres_url: str, say: Any) -> None:
    init_store(postgres_url, say.provenance).close()
    with psycopg.connect(postgres_url, autocommit=True) as own:
        name = sql.Identifier(own.info.dbname)
        own.execute(
            sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name)
        )
    with open_store(postgres_url) as store:
        assert store.read().revision == 0
        with store.watch() as changes:
            assert not changes.wait(0)
        code, message = refusal(lambda: store.commit([say.start()], None, say.provenance))
    assert (code, "is read-only" in message) == ("store-failed", True)


def test_a_disk_that_takes_no_more_leaves_the_old_state(postgres_url: str, say: Any) -> None:
    """In the middle of the rows; the error is the one that the server itself has for it."""
    with init_store(postgres_url, say.provenance) as store:
        with psycopg.connect(postgres_url) as own:
            own.execute(
                "CREATE FUNCTION sendroute.full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                " RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$"
            )
            own.execute(
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


def test_values_that_no_version_of_ours_wrote_are_damage(postgres_url: str, say: Any) -> None:
    with init_store(postgres_url, say.provenance) as store:
        store.commit([say.start("a.example")], None, say.provenance)
        with psycopg.connect(postgres_url) as own:
            own.execute("UPDATE sendroute.profile SET spec = '{', version = 2")
        code, message = refusal(store.read)
    assert (code, "is damaged" in message) == ("store-failed", True)


def test_a_revision_of_which_there_is_nothing_is_damage(postgres_url: str, say: Any) -> None:
    with init_store(postgres_url, say.provenance) as store:
        with psycopg.connect(postgres_url) as own:
            own.execute("UPDATE sendroute.store SET revision = 9")
        assert "is damaged" in refusal(store.status)[1]
        assert "is damaged" in refusal(store.head)[1]
