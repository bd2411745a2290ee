"""The HTTP server of the loop, with real clients, well-behaved and hostile."""

import http.client
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from sendroute.model.problem import ProblemError
from sendroute.telemetry import server as serving_module
from sendroute.telemetry.app import registry
from sendroute.telemetry.health import Health
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


def fetch(url: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    parts = urlsplit(url)
    client = http.client.HTTPConnection(parts.netloc, timeout=LONG)
    try:
        client.request(method, parts.path, headers=headers)
        response = client.getresponse()
        return response.status, response.read().decode()
    finally:
        client.close()


def address_of(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 0


def wait_until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + LONG
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_healthz_fails_when_the_heartbeat_is_too_old(
    url: str, health: Health, clock: Clock
) -> None:
    clock.now += 59
    assert fetch(f"{url}/healthz") == (200, "Last heartbeat 59 s ago.\n")
    clock.now += 2
    assert fetch(f"{url}/healthz") == (503, "Last heartbeat 61 s ago; the limit is 60 s.\n")
    health.beat()
    assert fetch(f"{url}/healthz") == (200, "Last heartbeat 0 s ago.\n")


def test_readyz_shows_the_reported_readiness(url: str, health: Health) -> None:
    assert fetch(f"{url}/readyz") == (503, "The process is starting.\n")
    health.ready("Commit abc is applied.")
    assert fetch(f"{url}/readyz") == (200, "Commit abc is applied.\n")
    health.not_ready("The store\r\ncannot be reached.")
    assert fetch(f"{url}/readyz") == (503, "The store cannot be reached.\n")


def test_metrics_are_valid_in_the_prometheus_format(url: str, counts: CollectorRegistry) -> None:
    Counter("sendroute_reconciles", "Reconciles.", ["outcome"], registry=counts).labels("ok").inc(3)
    Gauge("sendroute_odd", 'A "line"\nand another.', ["name"], registry=counts).labels('"\n').set(1)
    status, text = fetch(f"{url}/metrics")
    assert status == 200
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["sendroute_reconciles_total", "ok"] == 3
    assert samples["sendroute_odd", '"\n'] == 1
    assert samples[("process_resident_memory_bytes",)] > 0


def test_metrics_are_available_as_open_metrics(url: str, counts: CollectorRegistry) -> None:
    Counter("sendroute_reconciles", "Reconciles.", registry=counts).inc()
    _, text = fetch(f"{url}/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert "sendroute_reconciles" in {family.name for family in open_metrics(text)}


def test_a_format_that_is_none_gets_the_plain_one(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    status, text = fetch(f"{url}/metrics", Accept="application/openmetrics-text;version=\xff")
    assert status == 200
    assert list(text_string_to_metric_families(text))
    assert not caplog.records


@pytest.mark.parametrize("page", ["/metrics", "/healthz", "/nothing"])
def test_no_page_names_the_version_of_python(url: str, page: str) -> None:
    client = http.client.HTTPConnection(urlsplit(url).netloc, timeout=LONG)
    with closing(client):
        client.request("GET", page)
        assert client.getresponse().headers.get_all("Server") == ["sendroute"]


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200,
        b"GET / HTTP/9.9",
    ],
    ids=["a long path", "many headers", "another version"],
)
def test_no_answer_to_invalid_http_names_the_version_of_python(url: str, sent: bytes) -> None:
    with socket.create_connection(address_of(url), LONG) as client:
        client.sendall(sent + b"\r\n\r\n")
        assert b"Python" not in client.recv(4096)


def test_registries_are_independent() -> None:
    for _ in range(2):
        Counter("sendroute_reconciles", "Reconciles.", registry=registry())


@pytest.mark.parametrize("path", ["/", "/metrics/", "/healthz/x", "/favicon.ico", "/%2e%2e/etc"])
def test_an_unknown_path_is_404(url: str, path: str) -> None:
    assert fetch(url + path) == (404, "Not found. The pages are /metrics, /healthz, /readyz.\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "NONSENSE"])
def test_other_methods_are_rejected(url: str, method: str) -> None:
    assert fetch(f"{url}/metrics", method) == (405, "Only GET and HEAD.\n")


@pytest.mark.parametrize("page", ["/metrics", "/healthz", "/readyz", "/none"])
def test_head_is_get_without_the_body(url: str, page: str) -> None:
    host, port = address_of(url)
    with socket.create_connection((host, port), LONG) as client:
        client.sendall(f"HEAD {page} HTTP/1.0\r\n\r\n".encode())
        response = b"".join(iter(lambda: client.recv(4096), b""))
    head, _, body = response.partition(b"\r\n\r\n")
    assert int(head.split()[1]) == fetch(url + page)[0]
    assert body == b""


@pytest.mark.parametrize(
    "sent",
    [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"G" * 100_000, b"GET / HTTP/9.9\r\n\r\n", b"\r\n"],
    ids=["TLS", "no path", "no end", "another version", "nothing"],
)
def test_invalid_http_does_not_disturb_the_server(
    url: str, sent: bytes, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    # The server may close the connection before it has read everything.
    with suppress(OSError), socket.create_connection(address_of(url), LONG) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        client.recv(4096)
    assert fetch(f"{url}/healthz")[0] == 200
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


def test_a_slow_client_is_disconnected_and_does_not_block_others(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_module, "_CONNECTION_TIMEOUT", 0.5)
    with socket.create_connection(address_of(url), LONG) as slow:
        assert fetch(f"{url}/healthz")[0] == 200

        def is_hung_up() -> bool:
            try:
                slow.sendall(b"G")  # a byte at intervals, forever
            except OSError:
                return True
            return False

        assert wait_until(is_hung_up)


def test_the_oldest_connection_makes_room_for_a_new_one(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_module, "_MAX_CONNECTIONS", 3)
    clients = [socket.create_connection(address_of(url), LONG) for _ in range(4)]
    try:
        clients[0].settimeout(2)  # the other connections have a longer timeout
        assert clients[0].recv(1) == b""
        clients[3].sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert clients[3].recv(12) == b"HTTP/1.0 200"
    finally:
        for client in clients:
            client.close()
    assert wait_until(lambda: _is_answered(url))


def test_health_probes_are_answered_while_slow_clients_hold_every_connection(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_module, "_MAX_CONNECTIONS", 8)
    slow = [socket.create_connection(address_of(url), LONG) for _ in range(40)]
    try:
        for client in slow:
            with suppress(OSError):
                client.sendall(b"GET /")
        assert [_is_answered(url) for _ in range(20)] == [True] * 20
    finally:
        for client in slow:
            client.close()


def _is_answered(url: str) -> bool:
    try:
        return fetch(f"{url}/healthz")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def test_the_server_stops_within_a_second_despite_a_hanging_client(
    health: Health, counts: CollectorRegistry
) -> None:
    before = threading.active_count()
    with serving("127.0.0.1:0", health, counts) as url:
        client = socket.create_connection(address_of(url), LONG)
        client.sendall(b"GET /healthz HT")
        assert wait_until(lambda: threading.active_count() == before + 2)
        started = time.monotonic()
    with client:
        assert client.recv(1) == b""
    assert time.monotonic() - started < 1
    assert wait_until(lambda: threading.active_count() == before)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address_of(url), LONG)


def test_the_address_is_free_again_at_once(health: Health, counts: CollectorRegistry) -> None:
    with serving("127.0.0.1:0", health, counts) as url:
        fetch(f"{url}/healthz")
    host, port = address_of(url)
    with serving(f"{host}:{port}", health, counts) as again:
        assert again == url
        assert fetch(f"{again}/healthz")[0] == 200


@pytest.mark.parametrize("address", [":0", "[::1]:0", "localhost:0", "127.0.0.1:0", "[::]:0"])
def test_the_server_listens_on_local_addresses(
    address: str, health: Health, counts: CollectorRegistry
) -> None:
    with serving(address, health, counts) as url:
        assert fetch(f"{url}/healthz")[0] == 200


def test_without_a_host_the_server_listens_on_ipv4_and_ipv6(
    health: Health, counts: CollectorRegistry
) -> None:
    with serving(":0", health, counts) as url:
        _, port = address_of(url)
        assert fetch(f"http://127.0.0.1:{port}/healthz")[0] == 200
        assert fetch(f"http://[::1]:{port}/healthz")[0] == 200


@pytest.mark.parametrize(
    "address",
    ["", "9464", "localhost", "::1:9464", "a:b", "127.0.0.1:65536", "host.invalid:0", "[]:1"],
)
def test_an_invalid_address_is_reported(
    address: str, health: Health, counts: CollectorRegistry
) -> None:
    with pytest.raises(ProblemError) as caught, serving(address, health, counts):
        pass
    (finding,) = caught.value.findings
    assert finding.code == "invalid-value"
    assert finding.hint


def test_an_address_in_use_is_reported(url: str, health: Health, counts: CollectorRegistry) -> None:
    host, port = address_of(url)
    with pytest.raises(ProblemError) as caught, serving(f"{host}:{port}", health, counts):
        pass
    (finding,) = caught.value.findings
    assert finding.code == "address-in-use"
    assert finding.message == (f"Cannot listen on {host}:{port}: another process uses it.")
    assert finding.hint


def test_an_address_of_another_machine_is_reported(
    health: Health, counts: CollectorRegistry
) -> None:
    """RFC 5737: an address for documentation."""
    with pytest.raises(ProblemError) as caught, serving("192.0.2.1:0", health, counts):
        pass
    assert "no network interface" in caught.value.findings[0].message


def test_many_concurrent_requests_are_answered(url: str) -> None:
    statuses: list[int] = []

    def fetch_several() -> None:
        statuses.extend(fetch(f"{url}/metrics")[0] for _ in range(5))

    threads = [threading.Thread(target=fetch_several) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 40


def test_the_prometheus_library_is_imported_only_when_serving() -> None:
    source = str(Path(__file__).parents[2] / "operator")
    completed = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, sendroute.telemetry.server, sendroute.telemetry.app;"
            "print('prometheus_client' in sys.modules)",
        ],
        env={"PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )
    assert completed.stdout == "False\n"
