"""A connection that is lost at any moment: the change is made once, never twice and never half."""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, text
from tests.postgres import Cluster
from tests.proxy import Line, Proxy

from sendroute.model.problem import ProblemError, StaleError
from sendroute.store.create import init_store
from sendroute.store.postgres import database
from sendroute.store.postgres.database import driver
from sendroute.store.record import Store, open_store

COMMIT = b"COMMIT\0"  # not READ COMMITTED
NAMES = [f"d{number:03}.example" for number in range(200)]


@pytest.fixture
def proxy(cluster: Cluster) -> Iterator[Proxy]:
    with Proxy(cluster.port) as made:
        yield made


@pytest.fixture
def through(proxy: Proxy, postgres_url: str, cluster: Cluster, say: Any) -> Iterator[Store]:
    """An empty store, reached through the proxy."""
    init_store(postgres_url, say.provenance).close()
    with open_store(postgres_url.replace(str(cluster.port), str(proxy.port))) as store:
        yield store


def check_once(url: str) -> None:
    """Revision 1 is there, whole, and nothing else."""
    with open_store(url) as store:
        current = store.read()
        [account] = current.accounts.values()
        assert current.revision == account.revision == 1
        assert sorted(account.domains) == NAMES
        assert len(store.history()) == 1 + 2 + len(NAMES)
    with psycopg.connect(url) as own:
        rows = own.execute("SELECT number FROM sendroute.revision ORDER BY id").fetchall()
        assert rows == [(0,), (1,)]


def everybody_out(line: Line) -> None:
    with psycopg.connect(host="127.0.0.1", port=line.server.getpeername()[1], **_ADMIN) as own:
        own.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
    line.server.sendall(line.data)


_ADMIN: dict[str, str] = {"user": "tests", "dbname": "postgres"}

MOMENTS: dict[str, tuple[bytes, Callable[[Line], None]]] = {
    "before the transaction begins": (b"BEGIN ", Line.cut),
    "while it waits for its locks": (b"pg_advisory_xact_lock(", Line.cut_after_the_answer),
    "in the middle, before a statement arrives": (b'COPY "domain"', Line.cut),
    "in the middle, after a statement": (b"INSERT INTO account", Line.cut_after_the_answer),
    "before the commit arrives": (COMMIT, Line.cut),
    "after the commit was done and before it was told": (COMMIT, Line.cut_after_the_answer),
    "by an administrator, in the middle": (b'COPY "history"', everybody_out),
    "by an administrator, at the commit": (COMMIT, everybody_out),
}


@pytest.mark.parametrize(("words", "what"), MOMENTS.values(), ids=MOMENTS.keys())
def test_a_connection_lost_once(
    through: Store,
    proxy: Proxy,
    postgres_url: str,
    say: Any,
    words: bytes,
    what: Callable[[Line], None],
) -> None:
    proxy.at(words, what)
    assert through.commit([say.start(*NAMES)], None, say.provenance) == 1
    assert proxy.is_done
    check_once(postgres_url)


def test_a_connection_lost_again_and_again(
    through: Store, proxy: Proxy, postgres_url: str, say: Any
) -> None:
    for words, what in MOMENTS.values():
        if what is not everybody_out and words != COMMIT:
            proxy.at(words, what)
    proxy.at(COMMIT, Line.cut)
    proxy.at(COMMIT, Line.cut_after_the_answer)
    assert through.commit([say.start(*NAMES)], None, say.provenance) == 1
    assert proxy.is_done
    check_once(postgres_url)


def test_a_commit_that_arrives_late_is_waited_for(
    through: Store, proxy: Proxy, postgres_url: str, say: Any
) -> None:
    """The program's end is gone; the word to commit is still under way. Whoever tries again waits
    for the locks that the old transaction holds, and then finds it done."""
    left: list[Line] = []

    def leave(line: Line) -> None:
        left.append(line)
        line.leave()

    def arrives(line: Line) -> None:
        """The second try asks for its locks; the old commit arrives while it waits."""
        line.server.sendall(line.data)
        with psycopg.connect(postgres_url, autocommit=True) as own:
            until(own, "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        left[0].server.sendall(left[0].data)

    proxy.at(COMMIT, leave)
    proxy.at(b"FROM unnest", arrives)
    assert through.commit([say.start(*NAMES)], None, say.provenance) == 1
    assert proxy.is_done
    check_once(postgres_url)


def until(own: psycopg.Connection, question: str, values: Sequence[Any] = ()) -> None:
    """Asks until it is so."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        row = own.execute(question, values).fetchone()
        if row is not None and row[0]:
            return
    raise AssertionError(question)


def test_what_is_stale_after_a_lost_connection_is_stale(
    through: Store, proxy: Proxy, postgres_url: str, say: Any
) -> None:
    """Somebody else was faster while the connection was away."""

    def overtaken(line: Line) -> None:
        line.cut()
        with open_store(postgres_url) as other:
            other.commit([say.plan(0, say.account())], None, say.provenance)

    proxy.at(b"BEGIN ", overtaken)
    with pytest.raises(StaleError):
        through.commit([say.start(*NAMES)], None, say.provenance)
    assert through.read().revision == 1


def test_rekeying_is_done_once_and_says_how_many(through: Store, proxy: Proxy, say: Any) -> None:
    through.commit([say.start()], None, say.provenance, {say.key: {"ses": "old"}})
    proxy.at(COMMIT, Line.cut_after_the_answer)
    assert through.rekey(lambda token, _: token + "+", say.provenance) == 1
    assert proxy.is_done
    assert [one.credential for one in through.endpoints()] == ["old+"]
    assert through.read().revision == 2


def test_a_store_is_made_once(proxy: Proxy, postgres_url: str, cluster: Cluster, say: Any) -> None:
    proxy.at(COMMIT, Line.cut_after_the_answer)
    with init_store(
        postgres_url.replace(str(cluster.port), str(proxy.port)), say.provenance
    ) as store:
        assert proxy.is_done
        assert len(store.history()) == 1


def test_a_read_after_all_connections_were_ended_is_a_read(
    through: Store, proxy: Proxy, say: Any
) -> None:
    through.read()
    for line in proxy.lines:
        line.cut()
    assert through.read().revision == 0
    assert through.commit([say.start(*NAMES)], None, say.provenance) == 1


# A server of its own, for it is stopped


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with Cluster() as started:
        yield started


@pytest.fixture
def url(server: Cluster, say: Any) -> Iterator[str]:
    name = server.create_database()
    init_store(server.url(name), say.provenance).close()
    yield server.url(name)
    server.drop_database(name)


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGINT], ids=["immediate", "fast"])
@pytest.mark.parametrize("words", [b'COPY "domain"', COMMIT], ids=["in the middle", "at commit"])
@pytest.mark.parametrize("arrives", [True, False], ids=["arrives", "is lost"])
def test_a_server_that_restarts_is_waited_for(
    server: Cluster, url: str, say: Any, how: signal.Signals, words: bytes, arrives: bool
) -> None:
    def restart(line: Line) -> None:
        if arrives:
            line.is_mute = True
            line.server.sendall(line.data)
            line.answered.wait(30)
        server.stop(how)
        line.cut()
        server.start()

    with (
        Proxy(server.port) as proxy,
        open_store(url.replace(str(server.port), str(proxy.port))) as store,
    ):
        proxy.at(words, restart)
        assert store.commit([say.start(*NAMES)], None, say.provenance) == 1
        assert proxy.is_done
        assert store.read().revision == 1
    check_once(url)


def test_a_server_that_stays_away_is_told_after_a_while(
    server: Cluster, url: str, say: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_RECONNECT_TIMEOUT", 0.5)
    with open_store(url) as store:
        server.stop()
        with pytest.raises(ProblemError, match="cannot be reached"):
            store.commit([say.start(*NAMES)], None, say.provenance)
        with pytest.raises(ProblemError, match="cannot be reached"):
            store.read()
        server.start()
        assert store.commit([say.start(*NAMES)], None, say.provenance) == 1
    check_once(url)


def test_a_server_that_is_killed_leaves_the_old_state_or_the_new(
    server: Cluster, url: str, say: Any
) -> None:
    ended = threading.Event()

    def write() -> None:
        with open_store(url) as store:
            while not ended.is_set():
                with suppress(ProblemError):  # a read at the wrong moment
                    current = store.read().accounts.get(say.key)
                    plan = say.start(*NAMES) if current is None else remade(say, current)
                    store.commit([plan], None, say.provenance)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(3):
            with psycopg.connect(url, autocommit=True) as own:
                now = own.execute("SELECT revision FROM sendroute.store").fetchone()
                assert now is not None
                until(own, "SELECT revision > %s FROM sendroute.store", now)
            server.stop()
            server.start()
    finally:
        ended.set()
        writer.join()
    with open_store(url) as store:
        current = store.read()
        numbers = {entry.revision for entry in store.history()}
        assert numbers == set(range(current.revision + 1))


def remade(say: Any, current: Any) -> Any:
    """One more domain."""
    after = next(iter(current.domains.values()))
    return say.plan(current.revision, say.domain(f"n{current.revision}.example", None, after))


def test_a_read_that_is_broken_off_amid_a_statement(
    postgres_url: str, say: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """As a signal does it. Nothing is made of the connection any more, and nothing said of it."""

    def broken_off(connection: Connection) -> None:
        connection.execute(text("SELECT 1"))
        driver(connection).pgconn.send_query(b"SELECT pg_sleep(0.1)")
        raise KeyboardInterrupt

    init_store(postgres_url, say.provenance).close()
    with open_store(postgres_url) as store:
        with store._database.reading() as connection, pytest.raises(KeyboardInterrupt):
            broken_off(connection)
        assert store.read().revision == 0
    assert caplog.text == ""
