"""SIGTERM in the middle of anything: it ends soon, with status 0, and nothing is half done."""

import random
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from threading import Thread

import pytest
from tests.postgres import Cluster

from .conftest import DEADLINE, Place, account, profile, until


@pytest.fixture
def silent() -> Iterator[tuple[int, list[socket.socket]]]:
    """A port that takes connections and never says a word; and those it took."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            while True:
                try:
                    taken.append(server.accept()[0])
                except OSError:
                    return

        Thread(target=take, daemon=True).start()
        yield server.getsockname()[1], taken
        server.shutdown(socket.SHUT_RDWR)
    for one in taken:
        one.close()


def test_at_many_moments(place: Place) -> None:
    chance = random.Random(20261123)
    for index in range(6):
        names = [f"d{number}.a{index}.example.com" for number in range(400)]
        place.lay(f"a{index}", account(f"a{index}", *names))
    for _ in range(12):
        loop = place.start("--interval", "300ms")
        loop.says("Following")
        moment = time.monotonic() + chance.uniform(0, 1.2)
        until(lambda moment=moment: time.monotonic() >= moment)  # type: ignore[misc]
        asked = time.monotonic()
        assert loop.stop() == 0, loop.all()
        assert time.monotonic() - asked < 5
        assert loop.lines[-1]["message"] == "Stopped by SIGTERM."
        counts = place.sql("select count(*) from domain group by account_id")
        assert set(counts) <= {(400,)}, "an account is whole or not there"
        # Here and there all is taken away, so that there is something to do again.
        if chance.random() < 0.5:
            place.sql("delete from domain")
            place.sql("delete from account")
    assert place.sql("pragma integrity_check") == [("ok",)]
    last = place.start()
    last.says("Serving")
    until(lambda: len(place.domains()) == 2400, "all of it")


def test_while_a_connection_is_tested(
    place: Place, silent: tuple[int, list[socket.socket]]
) -> None:
    port, taken = silent
    place.lay("acme", account("acme", "a.example.com") + profile("acme", "mute", port))
    loop = place.start()
    until(lambda: taken, "the connection")
    asked = time.monotonic()
    assert loop.stop() == 0
    assert time.monotonic() - asked < 5, "the test is not waited for"
    assert not place.domains()


def test_while_git_is_asked(place: Place, silent: tuple[int, list[socket.socket]]) -> None:
    port, taken = silent
    (place.folder / "signers").write_text("")
    loop = place.start(
        f"http://127.0.0.1:{port}/mail.git", "--verify-signatures", "--allowed-signers", "signers"
    )
    until(lambda: taken, "git")
    asked = time.monotonic()
    assert loop.stop() == 0
    assert time.monotonic() - asked < 5


def test_a_second_signal_leaves_no_git_behind(
    place: Place, silent: tuple[int, list[socket.socket]]
) -> None:
    """One that waits for a server would wait for ever: its deadline is kept by us."""
    port, taken = silent
    loop = place.start(f"http://127.0.0.1:{port}/mail.git", "--verify-signatures")
    (connection,) = until(lambda: taken, "git")
    loop.signal()
    loop.signal(signal.SIGINT)
    assert loop.ended() in (128 + signal.SIGTERM, 128 + signal.SIGINT)
    connection.settimeout(DEADLINE)
    while connection.recv(1 << 16):
        pass  # until the other end is closed, by whoever had it


def test_while_a_server_is_asked_that_says_nothing(
    place: Place, silent: tuple[int, list[socket.socket]]
) -> None:
    port, taken = silent
    loop = place.start("--store", f"postgresql://nobody@127.0.0.1:{port}/mail")
    until(lambda: taken, "the connection")
    asked = time.monotonic()
    assert loop.stop() == 0
    assert time.monotonic() - asked < 5


def test_while_a_server_hangs_that_has_the_store(place: Place) -> None:
    place.lay("acme", account("acme", "a.example.com"))
    with Cluster() as cluster:
        url = cluster.url(cluster.create_database())
        told = ("--store", url, "--key-file", "sendroute.key")
        assert place.sendroute(*told, "init").returncode == 0
        loop = place.start(*told, "--interval", "200ms")
        loop.says("Serving")
        with cluster.hanging():
            silence = time.monotonic() + 1
            until(lambda: time.monotonic() >= silence)
            asked = time.monotonic()
            assert loop.stop() == 0
            assert time.monotonic() - asked < 15


def test_while_another_writer_has_the_store(place: Place) -> None:
    place.lay("acme", account("acme", "a.example.com"))
    with closing(sqlite3.connect(place.folder / "sendroute.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        loop = place.start()
        loop.says("Following")
        assert loop.stop() == 0
        other.execute("ROLLBACK")
    assert not place.domains()


def test_a_second_signal_ends_it_at_once(place: Place) -> None:
    place.lay("acme", account("acme", "a.example.com"))
    with closing(sqlite3.connect(place.folder / "sendroute.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        loop = place.start("-v")
        loop.says("Committing")
        loop.signal()
        loop.signal(signal.SIGINT)
        asked = time.monotonic()
        assert loop.ended() in (128 + signal.SIGTERM, 128 + signal.SIGINT)
        assert time.monotonic() - asked < 2, "the other writer is not waited for"
