"""Fixtures for the test servers; each test starts new servers, which stop at its end."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from sendroute.connection.resolve import Resolver
from sendroute.connection.run import run_tests
from sendroute.model import connection as outcomes
from sendroute.model.connection import TestRequest
from sendroute.model.credential import Credential
from sendroute.model.profile import Encryption, Profile

from .peers import (
    CANARY,
    CLIENT,
    HOST,
    LOOPBACK,
    SHOP,
    Authority,
    Check,
    Dns,
    Server,
    Zone,
    assert_contains_no_secret,
)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    started: list[Server] = []

    def start(**settings: object) -> Server:
        server = Server(**settings)  # type: ignore[arg-type]
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def name_server() -> Iterator[Callable[..., Dns]]:
    started: list[Dns] = []

    def start(zone: Zone) -> Dns:
        server = Dns(zone)
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def hosts(tmp_path: Path) -> Callable[..., Resolver]:
    """Create a resolver with the given hosts file."""

    def write(*lines: str) -> Resolver:
        path = tmp_path / "hosts"
        path.write_text("\n".join(lines))
        return Resolver((), str(path))

    return write


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    ca = trustme.CA()
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return Authority(ca, str(path))


@pytest.fixture
def check(hosts: Callable[..., Resolver], authority: Authority) -> Check:
    """Test a profile against a local server; check that the result is in time and has no secret."""

    def run(
        port: int,
        encryption: str = "none",
        *,
        host: str = HOST,
        credential: Credential | None = CANARY,
        deadline: float = 10.0,
        resolver: Resolver | None = None,
        allow: tuple[str, ...] = LOOPBACK,
        ca_file: str | None = authority.file,
        in_clear: bool = True,
        name: str | None = CLIENT,
        provider: str | None = None,
    ) -> outcomes.TestResult:
        profile = Profile(
            host,
            port,
            Encryption(encryption),
            provider=provider,
            secret=credential and "secret",
            allow_insecure_auth=in_clear,
        )
        (result,) = run_tests(
            [TestRequest(SHOP, "ses", profile, credential)],
            policy=outcomes.ConnectionPolicy(allow, ca_file, deadline, name),
            resolver=resolver or hosts(f"127.0.0.1 {HOST}"),
        )
        assert result.seconds < deadline + 2  # tolerance for a busy machine
        assert_contains_no_secret(f"{result.detail} {result.advice}")
        return result

    return run
