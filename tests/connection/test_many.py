"""Many tests in one run: concurrency, order, interruption and progress."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from sendroute.connection.run import run_tests
from sendroute.model import connection as outcomes
from sendroute.model.connection import ConnectionPolicy, TestRequest
from sendroute.model.desired import AccountKey
from sendroute.model.platform import Platform
from sendroute.model.profile import Encryption, Profile

from .peers import CANARY, HOST, LOOPBACK, SHOP, Hosts, Serve, Server, Talk, stall


class Gate:
    """Holds its clients until the expected number is connected, and counts concurrent clients.

    A client leaves the count before its reply is sent, because the next client cannot connect
    earlier.
    """

    def __init__(self, awaited: int) -> None:
        self.awaited = awaited
        self.came = self.inside = self.most = 0
        self.lock = threading.Condition()

    def __call__(self, talk: Talk) -> None:
        with self.lock:
            self.came += 1
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.lock.notify_all()
            self.lock.wait_for(lambda: self.came >= self.awaited, timeout=5)
        talk.stopped.wait(0.1)  # an excess client would connect while these are held
        with self.lock:
            self.inside -= 1
        talk.send(b"554 no\r\n")


def profile(server: Server, host: str = HOST) -> Profile:
    return Profile(host, server.port, Encryption.NONE, allow_insecure_auth=True)


def test_at_most_eight_tests_run_concurrently(serve: Serve, hosts: Hosts) -> None:
    gate = Gate(8)
    server = serve(answers={"GREETING": gate})
    names = [f"h{n}.example.test" for n in range(20)]
    results = run_tests(
        [TestRequest(SHOP, name, profile(server, name)) for name in names],
        policy=ConnectionPolicy(LOOPBACK),
        resolver=hosts(f"127.0.0.1 {' '.join(names)}"),
    )
    assert [result.profile for result in results] == names
    assert {result.outcome for result in results} == {"protocol-error"}
    assert gate.most == 8


def test_at_most_two_tests_of_a_host_run_concurrently(serve: Serve, hosts: Hosts) -> None:
    gate = Gate(2)
    server = serve(answers={"GREETING": gate})
    spellings = [HOST, HOST.upper(), HOST + "."] * 2
    results = run_tests(
        [TestRequest(SHOP, "p", profile(server, host)) for host in spellings],
        policy=ConnectionPolicy(LOOPBACK),
        resolver=hosts(f"127.0.0.1 {HOST}"),
    )
    assert len(results) == 6
    assert gate.most == 2


def test_a_slow_host_does_not_delay_others(serve: Serve, hosts: Hosts) -> None:
    """Tests that wait for their host take no slot of the run."""
    slow, quick = serve(answers={"GREETING": stall}), serve()
    requests = [TestRequest(SHOP, f"slow{n}", profile(slow, "slow.test")) for n in range(4)]
    requests += [TestRequest(SHOP, f"quick{n}", profile(quick, "quick.test")) for n in range(4)]
    done: list[str] = []
    results = run_tests(
        requests,
        policy=ConnectionPolicy(LOOPBACK, timeout=1.0),
        resolver=hosts("127.0.0.1 slow.test quick.test"),
        max_concurrent=4,
        progress=lambda result: done.append(result.profile),
    )
    assert [result.profile for result in results] == [request.name for request in requests]
    assert set(done[:4]) == {f"quick{n}" for n in range(4)}
    assert [result.outcome for result in results] == ["protocol-error"] * 4 + ["ok"] * 4


def test_a_test_that_cannot_start_before_the_deadline_is_skipped(
    serve: Serve, hosts: Hosts
) -> None:
    """A hundred tenants of a provider that hangs do not delay a run for minutes."""
    server = serve(answers={"GREETING": stall})
    began = time.monotonic()
    results = run_tests(
        [TestRequest(SHOP, f"p{n}", profile(server)) for n in range(100)],
        policy=ConnectionPolicy(LOOPBACK, timeout=0.5),
        resolver=hosts(f"127.0.0.1 {HOST}"),
        start_within=0.7,
    )
    assert time.monotonic() - began < 5
    assert len(server.talks) == 4, "tests that had started had their full deadline"
    assert {result.outcome for result in results[:4]} == {"protocol-error"}
    assert {result.outcome for result in results[4:]} == {"connect-failed"}
    assert "not tried" in results[-1].detail


def test_the_many_slow_tests_of_one_tenant_do_not_keep_another_one_from_starting(
    serve: Serve, hosts: Hosts
) -> None:
    slow, quick = serve(answers={"GREETING": stall}), serve()
    names = [f"slow{n}.test" for n in range(20)]
    requests = [TestRequest(SHOP, name, profile(slow, name)) for name in names]
    other = AccountKey("zebra", "shop")
    requests += [TestRequest(other, f"quick{n}", profile(quick, "quick.test")) for n in range(2)]
    results = run_tests(
        requests,
        policy=ConnectionPolicy(LOOPBACK, timeout=0.5),
        resolver=hosts(f"127.0.0.1 quick.test {' '.join(names)}"),
        start_within=0.2,
        max_concurrent=4,
    )
    assert [result.profile for result in results] == [request.name for request in requests]
    assert [result.outcome for result in results[-2:]] == ["ok", "ok"]


def test_each_test_has_its_own_deadline(serve: Serve, hosts: Hosts) -> None:
    """A test that waited for a slot has its full deadline."""
    server = serve(answers={"GREETING": stall})
    results = run_tests(
        [TestRequest(SHOP, f"p{n}", profile(server)) for n in range(3)],
        policy=ConnectionPolicy(LOOPBACK, timeout=0.4),
        resolver=hosts(f"127.0.0.1 {HOST}"),
        max_concurrent=1,
    )
    assert all(result.seconds >= 0.4 for result in results)


def test_no_requests_give_no_results() -> None:
    assert run_tests([], policy=ConnectionPolicy()) == []


def test_an_invalid_network_is_rejected() -> None:
    with pytest.raises(ValueError, match="not-a-network"):
        run_tests([], policy=ConnectionPolicy(("not-a-network",)))


def test_loopback_is_refused_by_default(serve: Serve, hosts: Hosts) -> None:
    server = serve()
    (result,) = run_tests(
        [TestRequest(SHOP, "ses", profile(server))],
        policy=ConnectionPolicy.of(Platform(None, ())),
        resolver=hosts(f"127.0.0.1 {HOST}"),
    )
    assert result.outcome == outcomes.ConnectionOutcome.ADDRESS_REFUSED
    assert "loopback" in result.detail
    assert not server.talks


PROGRAM = """
import sys
from sendroute.connection.resolve import Resolver
from sendroute.connection.run import run_tests
from sendroute.model.connection import ConnectionPolicy, TestRequest
from sendroute.model.credential import Credential
from sendroute.model.desired import AccountKey
from sendroute.model.profile import Encryption, Profile

profile = Profile(sys.argv[1], int(sys.argv[2]), Encryption.NONE, allow_insecure_auth=True)
credential = Credential(sys.argv[4], sys.argv[5])
run_tests([TestRequest(AccountKey("acme", "shop"), "ses", profile, credential)] * 3,
          policy=ConnectionPolicy(("127.0.0.0/8",)), resolver=Resolver((), sys.argv[3]))
"""


def test_ctrl_c_stops_a_run_cleanly(serve: Serve, tmp_path) -> None:
    """During AUTH: the interpreter's output contains nothing of the password."""
    server = serve(answers={"AUTH": stall})
    (tmp_path / "hosts").write_text(f"127.0.0.1 {HOST}")
    arguments = [HOST, str(server.port), str(tmp_path / "hosts"), CANARY.username, CANARY.password]
    running = subprocess.Popen(
        [sys.executable, "-X", "dev", "-c", PROGRAM, *arguments],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
    )
    until = time.monotonic() + 20
    while sum(line.startswith(b"AUTH") for line in server.lines) < 2:
        assert time.monotonic() < until
        assert running.poll() is None
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, output = running.communicate(timeout=10)
    assert output.strip().splitlines()[-1] == "KeyboardInterrupt"
    assert "CancelledError" not in output
    assert "Warning" not in output
    assert "never retrieved" not in output
    assert CANARY.password not in output
    assert running.returncode in (-signal.SIGINT, 1, 130)
    assert server.open_at_once <= 2
    while server.open_at_once:  # the connections were closed, not left
        assert time.monotonic() < until
        time.sleep(0.02)


def test_no_descriptor_is_left_open(serve: Serve, hosts: Hosts) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = taken.getsockname()[1]
    run_tests(
        [TestRequest(SHOP, "p", Profile(HOST, closed, Encryption.NONE))] * 3,
        policy=ConnectionPolicy(LOOPBACK),
        resolver=hosts(f"127.0.0.1 {HOST}"),
    )
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    del serve
