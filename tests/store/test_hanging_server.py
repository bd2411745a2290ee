"""A server that hangs with open connections: Sendroute waits while it works, and reports it
otherwise."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from tests.postgres import Cluster

from sendroute.model.problem import ProblemError
from sendroute.store.create import init_store
from sendroute.store.postgres import connect, database
from sendroute.store.record import open_store

from .test_lost_connections import NAMES, check_once, until


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with Cluster() as started:
        yield started


@pytest.fixture
def url(server: Cluster, say: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a store with short timeouts."""
    name = server.create_database()
    init_store(server.url(name), say.provenance).close()
    monkeypatch.setattr(connect, "_SILENCE", 0.5)
    monkeypatch.setattr(database, "_RECONNECT_TIMEOUT", 0.5)
    yield f"{server.url(name)}?connect_timeout=2"
    server.drop_database(name)


def test_a_write_to_a_hanging_server_is_reported(server: Cluster, url: str, say: Any) -> None:
    with open_store(url) as store:
        with server.hanging(), pytest.raises(ProblemError, match="does not answer"):
            store.commit([say.start(*NAMES)], None, say.provenance)
        assert store.commit([say.start(*NAMES)], None, say.provenance) == 1
    check_once(url)


def test_a_read_from_a_hanging_server_is_reported(server: Cluster, url: str) -> None:
    with open_store(url) as store:
        with store._database.reading() as connection:
            raw = database.driver(connection)
            with server.hanging(), pytest.raises(connect.NotConnectedError, match="silent"):
                raw.execute("SELECT 1")
        with server.hanging(), pytest.raises(ProblemError, match="does not answer"):
            store.read()
        with server.hanging(), pytest.raises(ProblemError, match="does not answer"):
            open_store(url)
        assert store.read().revision == 0


def test_a_watch_of_a_hanging_server_reports_the_change_later(
    server: Cluster, url: str, say: Any
) -> None:
    with open_store(url) as store, store.watch() as changes:
        with server.hanging():
            assert not changes.wait(0.2)
        with open_store(url) as other:
            other.commit([say.start()], None, say.provenance)
        assert changes.wait(20)


def test_a_slow_statement_does_not_time_out(url: str, say: Any) -> None:
    """The server is silent for longer than the timeout, because the account is locked."""
    with (
        psycopg.connect(url, autocommit=True) as raw,
        open_store(url) as store,
        ThreadPoolExecutor(1) as pool,
    ):
        raw.execute("BEGIN")
        raw.execute("UPDATE sendroute.store SET revision = revision")
        done = pool.submit(store.commit, [say.start(*NAMES)], None, say.provenance)
        two_seconds_passed = "SELECT clock_timestamp() > now() + interval '2 seconds'"
        with psycopg.connect(url) as clock:
            until(clock, two_seconds_passed)
        assert not done.done()
        raw.execute("ROLLBACK")
        assert done.result() == 1
    check_once(url)


def test_a_server_without_a_free_connection_for_the_check_is_not_hanging(
    server: Cluster, url: str
) -> None:
    with server.connect() as raw:
        raw.execute("CREATE ROLE once LOGIN CONNECTION LIMIT 1")
    with connect.connect(url.replace("tests@", "once@")) as limited:
        with pytest.raises(connect.NotConnectedError, match="full"):
            connect.connect(url.replace("tests@", "once@"))
        assert limited.execute("SELECT pg_sleep(1.5) IS NULL").fetchone() == (False,)
