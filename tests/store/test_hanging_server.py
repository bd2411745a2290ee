"""A server that stands still and keeps its connections: it is waited for as long as it works, and
told when it does not."""

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
    """Of a store whose users are not patient."""
    name = server.create_database()
    init_store(server.url(name), say.provenance).close()
    monkeypatch.setattr(connect, "_SILENCE", 0.5)
    monkeypatch.setattr(database, "_RECONNECT_TIMEOUT", 0.5)
    yield f"{server.url(name)}?connect_timeout=2"
    server.drop_database(name)


def test_a_write_to_a_server_that_hangs_is_told(server: Cluster, url: str, say: Any) -> None:
    with open_store(url) as store:
        with server.hanging(), pytest.raises(ProblemError, match="does not answer"):
            store.commit([say.start(*NAMES)], None, say.provenance)
        assert store.commit([say.start(*NAMES)], None, say.provenance) == 1
    check_once(url)


def test_a_read_of_a_server_that_hangs_is_told(server: Cluster, url: str) -> None:
    with open_store(url) as store:
        with store._database.reading() as connection:
            own = database.driver(connection)
            with server.hanging(), pytest.raises(connect.NotConnectedError, match="silent"):
                own.execute("SELECT 1")
        with server.hanging(), pytest.raises(ProblemError, match="does not answer"):
            store.read()
        with server.hanging(), pytest.raises(ProblemError, match="does not answer"):
            open_store(url)
        assert store.read().revision == 0


def test_who_follows_a_server_that_hangs_hears_of_it_later(
    server: Cluster, url: str, say: Any
) -> None:
    with open_store(url) as store, store.watch() as changes:
        with server.hanging():
            assert not changes.wait(0.2)
        with open_store(url) as other:
            other.commit([say.start()], None, say.provenance)
        assert changes.wait(20)


def test_a_server_that_works_long_is_waited_for(url: str, say: Any) -> None:
    """It says nothing for longer than what is a silence, for somebody else has the account."""
    with (
        psycopg.connect(url, autocommit=True) as own,
        open_store(url) as store,
        ThreadPoolExecutor(1) as pool,
    ):
        own.execute("BEGIN")
        own.execute("UPDATE sendroute.store SET revision = revision")
        done = pool.submit(store.commit, [say.start(*NAMES)], None, say.provenance)
        asked = "SELECT clock_timestamp() > now() + interval '2 seconds'"
        with psycopg.connect(url) as clock:
            until(clock, asked)
        assert not done.done()
        own.execute("ROLLBACK")
        assert done.result() == 1
    check_once(url)


def test_a_server_that_has_no_place_for_the_question_works(server: Cluster, url: str) -> None:
    with server.connect() as own:
        own.execute("CREATE ROLE once LOGIN CONNECTION LIMIT 1")
    with connect.connect(url.replace("tests@", "once@")) as once:
        with pytest.raises(connect.NotConnectedError, match="full"):
            connect.connect(url.replace("tests@", "once@"))
        assert once.execute("SELECT pg_sleep(1.5) IS NULL").fetchone() == (False,)
