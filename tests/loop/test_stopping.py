"""SIGTERM at any moment: the loop ends soon with status 0 and leaves only complete accounts."""

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

from .conftest import DEADLINE, Workspace, account, profile, wait_until


@pytest.fixture
def silent_port() -> Iterator[tuple[int, list[socket.socket]]]:
    """A port that accepts connections and never answers, and the accepted connections."""
    accepted: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    accepted.append(server.accept()[0])
                except OSError:
                    return

        Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1], accepted
        server.shutdown(socket.SHUT_RDWR)
    for connection in accepted:
        connection.close()


def test_sigterm_at_any_moment_leaves_only_complete_accounts(workspace: Workspace) -> None:
    rng = random.Random(20261123)
    for index in range(6):
        names = [f"d{number}.a{index}.example.com" for number in range(400)]
        workspace.write_manifest(f"a{index}", account(f"a{index}", *names))
    for _ in range(12):
        loop = workspace.start("--interval", "300ms")
        loop.wait_for_log("Following")
        moment = time.monotonic() + rng.uniform(0, 1.2)
        wait_until(lambda moment=moment: time.monotonic() >= moment)  # type: ignore[misc]
        stopped_at = time.monotonic()
        assert loop.stop() == 0, loop.all()
        assert time.monotonic() - stopped_at < 5
        assert loop.lines[-1]["message"] == "Stopped by SIGTERM."
        counts = workspace.sql("select count(*) from domain group by account_id")
        assert set(counts) <= {(400,)}, "an account is complete or absent"
        # In some rounds everything is removed, so that there is work again.
        if rng.random() < 0.5:
            workspace.sql("delete from domain")
            workspace.sql("delete from account")
    assert workspace.sql("pragma integrity_check") == [("ok",)]
    final_loop = workspace.start()
    final_loop.wait_for_log("Serving")
    wait_until(lambda: len(workspace.domains()) == 2400, "all domains")


def test_sigterm_ends_the_loop_during_a_connection_test(
    workspace: Workspace, silent_port: tuple[int, list[socket.socket]]
) -> None:
    port, accepted = silent_port
    workspace.write_manifest(
        "acme", account("acme", "a.example.com") + profile("acme", "mute", port)
    )
    loop = workspace.start()
    wait_until(lambda: accepted, "the connection")
    stopped_at = time.monotonic()
    assert loop.stop() == 0
    assert time.monotonic() - stopped_at < 5, "the loop does not wait for the test"
    assert not workspace.domains()


def test_sigterm_ends_the_loop_while_git_fetches(
    workspace: Workspace, silent_port: tuple[int, list[socket.socket]]
) -> None:
    port, accepted = silent_port
    (workspace.directory / "signers").write_text("")
    loop = workspace.start(
        f"http://127.0.0.1:{port}/mail.git", "--verify-signatures", "--allowed-signers", "signers"
    )
    wait_until(lambda: accepted, "git")
    stopped_at = time.monotonic()
    assert loop.stop() == 0
    assert time.monotonic() - stopped_at < 5


def test_a_second_signal_leaves_no_git_process_behind(
    workspace: Workspace, silent_port: tuple[int, list[socket.socket]]
) -> None:
    """A git process that waits for a server would wait forever: Sendroute enforces its timeout."""
    port, accepted = silent_port
    loop = workspace.start(f"http://127.0.0.1:{port}/mail.git", "--verify-signatures")
    (connection,) = wait_until(lambda: accepted, "git")
    loop.signal()
    loop.signal(signal.SIGINT)
    assert loop.wait_for_exit() in (128 + signal.SIGTERM, 128 + signal.SIGINT)
    connection.settimeout(DEADLINE)
    while connection.recv(1 << 16):
        pass  # until every process has closed the other end


def test_sigterm_ends_the_loop_while_a_database_server_does_not_answer(
    workspace: Workspace, silent_port: tuple[int, list[socket.socket]]
) -> None:
    port, accepted = silent_port
    loop = workspace.start("--store", f"postgresql://nobody@127.0.0.1:{port}/mail")
    wait_until(lambda: accepted, "the connection")
    stopped_at = time.monotonic()
    assert loop.stop() == 0
    assert time.monotonic() - stopped_at < 5


def test_sigterm_ends_the_loop_while_the_server_of_the_store_hangs(workspace: Workspace) -> None:
    workspace.write_manifest("acme", account("acme", "a.example.com"))
    with Cluster() as cluster:
        url = cluster.url(cluster.create_database())
        options = ("--store", url, "--key-file", "sendroute.key")
        assert workspace.sendroute(*options, "init").returncode == 0
        loop = workspace.start(*options, "--interval", "200ms")
        loop.wait_for_log("Serving")
        with cluster.hanging():
            silence = time.monotonic() + 1
            wait_until(lambda: time.monotonic() >= silence)
            stopped_at = time.monotonic()
            assert loop.stop() == 0
            assert time.monotonic() - stopped_at < 15


def test_sigterm_ends_the_loop_while_another_writer_locks_the_store(workspace: Workspace) -> None:
    workspace.write_manifest("acme", account("acme", "a.example.com"))
    with closing(
        sqlite3.connect(workspace.directory / "sendroute.db", isolation_level=None)
    ) as other:
        other.execute("BEGIN IMMEDIATE")
        loop = workspace.start()
        loop.wait_for_log("Following")
        assert loop.stop() == 0
        other.execute("ROLLBACK")
    assert not workspace.domains()


def test_a_second_signal_ends_the_loop_at_once(workspace: Workspace) -> None:
    workspace.write_manifest("acme", account("acme", "a.example.com"))
    with closing(
        sqlite3.connect(workspace.directory / "sendroute.db", isolation_level=None)
    ) as other:
        other.execute("BEGIN IMMEDIATE")
        loop = workspace.start("-v")
        loop.wait_for_log("Committing")
        loop.signal()
        loop.signal(signal.SIGINT)
        stopped_at = time.monotonic()
        assert loop.wait_for_exit() in (128 + signal.SIGTERM, 128 + signal.SIGINT)
        assert time.monotonic() - stopped_at < 2, "the loop does not wait for the other writer"
