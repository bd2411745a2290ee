"""A connection that is lost at any moment: the change is committed exactly once and completely."""

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
    """Check that the store holds the complete revision 1 and nothing else."""
    with open_store(url) as store:
        current = store.read()
        [account] = current.accounts.values()
        assert current.revision == account.revision == 1
        assert sorted(account.domains) == NAMES
        assert len(store.history()) == 1 + 2 + len(NAMES)
    with psycopg.connect(url) as admin:
        rows = admin.execute("SELECT number FROM sendroute.revision ORDER BY id").fetchall()
        assert rows == [(0,), (1,)]


def terminate_connections(line: Line) -> None:
    with psycopg.connect(host="127.0.0.1", port=line.server.getpeername()[1], **_ADMIN) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
    line.server.sendall(line.data)


_ADMIN: dict[str, str] = {"user": "tests", "dbname": "postgres"}

MOMENTS: dict[str, tuple[bytes, Callable[[Line], None]]] = {
    "before the transaction begins": (b"BEGIN ", Line.cut),
    "while it waits for its locks": (b"pg_advisory_xact_lock(", Line.cut_after_the_answer),
    "before a statement arrives": (b'COPY "domain"', Line.cut),
    "after a statement": (b"INSERT INTO account", Line.cut_after_the_answer),
    "before the commit arrives": (COMMIT, Line.cut),
    "after the commit and before its answer": (COMMIT, Line.cut_after_the_answer),
    "by an administrator, during a statement": (b'COPY "history"', terminate_connections),
    "by an administrator, at the commit": (COMMIT, terminate_connections),
}


@pytest.mark.parametrize(("words", "action"), MOMENTS.values(), ids=MOMENTS.keys())
def test_a_change_is_committed_once_after_a_lost_connection(
    through: Store,
    proxy: Proxy,
    postgres_url: str,
    say: Any,
    words: bytes,
    action: Callable[[Line], None],
) -> None:
    proxy.at(words, action)
    assert through.commit([say.start(*NAMES)], None, say.provenance) == 1
    assert proxy.is_done
    check_once(postgres_url)


def test_a_change_is_committed_once_after_several_lost_connections(
    through: Store, proxy: Proxy, postgres_url: str, say: Any
) -> None:
    for words, action in MOMENTS.values():
        if action is not terminate_connections and words != COMMIT:
            proxy.at(words, action)
    proxy.at(COMMIT, Line.cut)
    proxy.at(COMMIT, Line.cut_after_the_answer)
    assert through.commit([say.start(*NAMES)], None, say.provenance) == 1
    assert proxy.is_done
    check_once(postgres_url)


def test_a_retry_waits_for_a_late_commit(
    through: Store, proxy: Proxy, postgres_url: str, say: Any
) -> None:
    """The client's end is closed while the COMMIT is in transit. The retry waits for the locks of
    the old transaction, and then sees that it was committed."""
    left: list[Line] = []

    def leave(line: Line) -> None:
        left.append(line)
        line.leave()

    def arrives(line: Line) -> None:
        """Deliver the old COMMIT while the second attempt waits for its locks."""
        line.server.sendall(line.data)
        with psycopg.connect(postgres_url, autocommit=True) as admin:
            until(admin, "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        left[0].server.sendall(left[0].data)

    proxy.at(COMMIT, leave)
    proxy.at(b"FROM unnest", arrives)
    assert through.commit([say.start(*NAMES)], None, say.provenance) == 1
    assert proxy.is_done
    check_once(postgres_url)


def until(admin: psycopg.Connection, question: str, values: Sequence[Any] = ()) -> None:
    """Repeat the query until its first column is true."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        row = admin.execute(question, values).fetchone()
        if row is not None and row[0]:
            return
    raise AssertionError(question)


def test_a_retry_after_another_commit_is_stale(
    through: Store, proxy: Proxy, postgres_url: str, say: Any
) -> None:
    """Another process commits before the connection is lost, in which nothing has begun."""

    def overtake(line: Line) -> None:
        with open_store(postgres_url) as other:
            other.commit([say.plan(0, say.account())], None, say.provenance)
        line.cut()  # only now: the retry comes at once

    proxy.at(b"BEGIN ", overtake)
    with pytest.raises(StaleError):
        through.commit([say.start(*NAMES)], None, say.provenance)
    assert through.read().revision == 1


def test_a_rekey_after_a_lost_answer_returns_the_count(
    through: Store, proxy: Proxy, say: Any
) -> None:
    through.commit([say.start()], None, say.provenance, {say.key: {"ses": "old"}})
    proxy.at(COMMIT, Line.cut_after_the_answer)
    assert through.rekey(lambda token, _: token + "+", say.provenance).count == 1
    assert proxy.is_done
    assert [endpoint.credential for endpoint in through.endpoints()] == ["old+"]
    assert through.read().revision == 2


def test_a_store_is_created_once_after_a_lost_answer(
    proxy: Proxy, postgres_url: str, cluster: Cluster, say: Any
) -> None:
    proxy.at(COMMIT, Line.cut_after_the_answer)
    with init_store(
        postgres_url.replace(str(cluster.port), str(proxy.port)), say.provenance
    ) as store:
        assert proxy.is_done
        assert len(store.history()) == 1


def test_a_read_reconnects_after_all_connections_were_terminated(
    through: Store, proxy: Proxy, say: Any
) -> None:
    through.read()
    for line in proxy.lines:
        line.cut()
    assert through.read().revision == 0
    assert through.commit([say.start(*NAMES)], None, say.provenance) == 1


# Tests that stop their server


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


@pytest.mark.parametrize("shutdown", [signal.SIGQUIT, signal.SIGINT], ids=["immediate", "fast"])
@pytest.mark.parametrize(
    "words", [b'COPY "domain"', COMMIT], ids=["during a statement", "at the commit"]
)
@pytest.mark.parametrize("arrives", [True, False], ids=["arrives", "is lost"])
def test_a_commit_waits_for_a_restarting_server(
    server: Cluster, url: str, say: Any, shutdown: signal.Signals, words: bytes, arrives: bool
) -> None:
    def restart(line: Line) -> None:
        if arrives:
            line.is_mute = True
            line.server.sendall(line.data)
            line.answered.wait(30)
        server.stop(shutdown)
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


def test_a_stopped_server_is_reported_after_the_reconnect_timeout(
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


def test_a_killed_server_keeps_the_old_or_the_new_state(
    server: Cluster, url: str, say: Any
) -> None:
    ended = threading.Event()

    def write() -> None:
        with open_store(url) as store:
            while not ended.is_set():
                with suppress(ProblemError):  # the server is down
                    current = store.read().accounts.get(say.key)
                    plan = say.start(*NAMES) if current is None else add_domain(say, current)
                    store.commit([plan], None, say.provenance)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(3):
            with psycopg.connect(url, autocommit=True) as admin:
                now = admin.execute("SELECT revision FROM sendroute.store").fetchone()
                assert now is not None
                until(admin, "SELECT revision > %s FROM sendroute.store", now)
            server.stop()
            server.start()
    finally:
        ended.set()
        writer.join()
    with open_store(url) as store:
        current = store.read()
        numbers = {entry.revision for entry in store.history()}
        assert numbers == set(range(current.revision + 1))


def add_domain(say: Any, current: Any) -> Any:
    """A plan that adds one domain."""
    after = next(iter(current.domains.values()))
    return say.plan(current.revision, say.domain(f"n{current.revision}.example", None, after))


def test_an_interrupted_read_discards_its_connection_silently(
    postgres_url: str, say: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A signal interrupts a statement. The connection is not used again, and nothing is logged."""

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
