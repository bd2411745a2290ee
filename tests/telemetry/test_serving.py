"""The server beside a loop, asked by a real client, good ones and bad."""

import http.client
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from sendroute.model.problem import ProblemError
from sendroute.telemetry import server as serving_module
from sendroute.telemetry.health import Health
from sendroute.telemetry.metrics import registry
from sendroute.telemetry.server import serving

LONG = 30.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(60, clock)


@pytest.fixture
def counts() -> CollectorRegistry:
    return registry()


@pytest.fixture
def url(health: Health, counts: CollectorRegistry) -> Iterator[str]:
    with serving("127.0.0.1:0", health, counts) as url:
        yield url


def ask(url: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    parts = urlsplit(url)
    client = http.client.HTTPConnection(parts.netloc, timeout=LONG)
    try:
        client.request(method, parts.path, headers=headers)
        answer = client.getresponse()
        return answer.status, answer.read().decode()
    finally:
        client.close()


def place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 0


def wait_until(said: Callable[[], bool]) -> bool:
    until = time.monotonic() + LONG
    while not said():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def test_alive_while_it_beats(url: str, health: Health, clock: Clock) -> None:
    clock.now += 59
    assert ask(f"{url}/healthz") == (200, "Last heartbeat 59 s ago.\n")
    clock.now += 2
    assert ask(f"{url}/healthz") == (503, "Last heartbeat 61 s ago; the limit is 60 s.\n")
    health.beat()
    assert ask(f"{url}/healthz") == (200, "Last heartbeat 0 s ago.\n")


def test_ready_once_it_says_so(url: str, health: Health) -> None:
    assert ask(f"{url}/readyz") == (503, "The process is starting.\n")
    health.ready("Commit abc is applied.")
    assert ask(f"{url}/readyz") == (200, "Commit abc is applied.\n")
    health.not_ready("The store\r\ncannot be reached.")
    assert ask(f"{url}/readyz") == (503, "The store cannot be reached.\n")


def test_metrics_as_prometheus_reads_them(url: str, counts: CollectorRegistry) -> None:
    Counter("sendroute_reconciles", "Reconciles.", ["outcome"], registry=counts).labels("ok").inc(3)
    Gauge("sendroute_odd", 'A "line"\nand another.', ["name"], registry=counts).labels('"\n').set(1)
    status, text = ask(f"{url}/metrics")
    assert status == 200
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["sendroute_reconciles_total", "ok"] == 3
    assert found["sendroute_odd", '"\n'] == 1
    assert found[("process_resident_memory_bytes",)] > 0


def test_metrics_as_open_metrics(url: str, counts: CollectorRegistry) -> None:
    Counter("sendroute_reconciles", "Reconciles.", registry=counts).inc()
    _, text = ask(f"{url}/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert "sendroute_reconciles" in {family.name for family in open_metrics(text)}


def test_two_registries_share_nothing() -> None:
    for _ in range(2):
        Counter("sendroute_reconciles", "Reconciles.", registry=registry())


@pytest.mark.parametrize("path", ["/", "/metrics/", "/healthz/x", "/favicon.ico", "/%2e%2e/etc"])
def test_what_is_not_there_is_404(url: str, path: str) -> None:
    assert ask(url + path) == (404, "Not found. The pages are /metrics, /healthz, /readyz.\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "NONSENSE"])
def test_other_methods_are_refused(url: str, method: str) -> None:
    assert ask(f"{url}/metrics", method) == (405, "Only GET and HEAD.\n")


@pytest.mark.parametrize("page", ["/metrics", "/healthz", "/readyz", "/none"])
def test_head_is_get_without_the_body(url: str, page: str) -> None:
    host, port = place(url)
    with socket.create_connection((host, port), LONG) as client:
        client.sendall(f"HEAD {page} HTTP/1.0\r\n\r\n".encode())
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert int(head.split()[1]) == ask(url + page)[0]
    assert body == b""


@pytest.mark.parametrize(
    "sent",
    [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"G" * 100_000, b"GET / HTTP/9.9\r\n\r\n", b"\r\n"],
    ids=["TLS", "no path", "no end", "another version", "nothing"],
)
def test_what_is_no_http_hurts_nobody(
    url: str, sent: bytes, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    # It may hang up before it has heard all.
    with suppress(OSError), socket.create_connection(place(url), LONG) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        client.recv(4096)
    assert ask(f"{url}/healthz")[0] == 200
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


def test_a_slow_client_is_hung_up_on_and_nobody_waits_for_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_module, "_CONNECTION_TIMEOUT", 0.5)
    with socket.create_connection(place(url), LONG) as slow:
        assert ask(f"{url}/healthz")[0] == 200

        def is_hung_up() -> bool:
            try:
                slow.sendall(b"G")  # a byte now and then, for ever
            except OSError:
                return True
            return False

        assert wait_until(is_hung_up)


def test_more_clients_than_are_heard_are_hung_up_on(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_module, "_MAX_CONNECTIONS", 3)
    clients = [socket.create_connection(place(url), LONG) for _ in range(4)]
    try:
        clients[3].settimeout(2)  # the others are heard for longer
        assert clients[3].recv(1) == b""
    finally:
        for client in clients:
            client.close()
    assert wait_until(lambda: _is_answered(url))


def _is_answered(url: str) -> bool:
    try:
        return ask(f"{url}/healthz")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def test_it_stops_within_a_second_with_a_client_that_hangs(
    health: Health, counts: CollectorRegistry
) -> None:
    before = threading.active_count()
    with serving("127.0.0.1:0", health, counts) as url:
        client = socket.create_connection(place(url), LONG)
        client.sendall(b"GET /healthz HT")
        assert wait_until(lambda: threading.active_count() == before + 2)
        started = time.monotonic()
    with client:
        assert client.recv(1) == b""
    assert time.monotonic() - started < 1
    assert wait_until(lambda: threading.active_count() == before)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(place(url), LONG)


def test_the_address_is_free_again_at_once(health: Health, counts: CollectorRegistry) -> None:
    with serving("127.0.0.1:0", health, counts) as url:
        ask(f"{url}/healthz")
    host, port = place(url)
    with serving(f"{host}:{port}", health, counts) as again:
        assert again == url
        assert ask(f"{again}/healthz")[0] == 200


@pytest.mark.parametrize("address", [":0", "[::1]:0", "localhost:0", "127.0.0.1:0", "[::]:0"])
def test_an_address_of_this_machine(
    address: str, health: Health, counts: CollectorRegistry
) -> None:
    with serving(address, health, counts) as url:
        assert ask(f"{url}/healthz")[0] == 200


def test_all_interfaces_are_both_families(health: Health, counts: CollectorRegistry) -> None:
    with serving(":0", health, counts) as url:
        _, port = place(url)
        assert ask(f"http://127.0.0.1:{port}/healthz")[0] == 200
        assert ask(f"http://[::1]:{port}/healthz")[0] == 200


@pytest.mark.parametrize(
    "address",
    ["", "9464", "localhost", "::1:9464", "a:b", "127.0.0.1:65536", "host.invalid:0", "[]:1"],
)
def test_what_is_no_address_is_told(
    address: str, health: Health, counts: CollectorRegistry
) -> None:
    with pytest.raises(ProblemError) as caught, serving(address, health, counts):
        pass
    (found,) = caught.value.findings
    assert found.code == "invalid-value"
    assert found.hint


def test_an_address_in_use_is_told(url: str, health: Health, counts: CollectorRegistry) -> None:
    host, port = place(url)
    with pytest.raises(ProblemError) as caught, serving(f"{host}:{port}", health, counts):
        pass
    (found,) = caught.value.findings
    assert found.code == "address-in-use"
    assert found.message == (f"Cannot listen on {host}:{port}: another process uses it.")
    assert found.hint


def test_an_address_of_another_machine_is_told(health: Health, counts: CollectorRegistry) -> None:
    """RFC 5737: documentation."""
    with pytest.raises(ProblemError) as caught, serving("192.0.2.1:0", health, counts):
        pass
    assert "no network interface" in caught.value.findings[0].message


def test_many_at_once(url: str) -> None:
    answers: list[int] = []

    def many() -> None:
        answers.extend(ask(f"{url}/metrics")[0] for _ in range(5))

    threads = [threading.Thread(target=many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 40


def test_the_library_is_imported_only_when_there_is_something_to_serve() -> None:
    source = str(Path(__file__).parents[2] / "operator")
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, sendroute.telemetry.server, sendroute.telemetry.metrics;"
            "print('prometheus_client' in sys.modules)",
        ],
        env={"PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "False\n"
