"""Encrypted connections to a verified server: a lost message is recovered as on any other
connection, and a connection that cannot be made is reported."""

import datetime
import ipaddress
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.postgres import Cluster
from tests.proxy import Line, Proxy

from sendroute.model.problem import ProblemError
from sendroute.store.create import init_store
from sendroute.store.record import open_store

HOST = ipaddress.ip_address("127.0.0.1")


def write_certificate(directory: Path) -> None:
    """Write a self-signed certificate for this host."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the tests' server")])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (directory / "server.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (directory / "server.key").write_bytes(plain)


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with Cluster() as started:
        write_certificate(started.data)
        owner = started.data.stat()
        os.chown(started.data / "server.key", owner.st_uid, owner.st_gid)
        (started.data / "server.key").chmod(0o600)
        rules = (
            "local all all trust\n"
            "hostssl all tests 127.0.0.1/32 trust\n"
            "host all barred 127.0.0.1/32 reject\n"
            "hostssl all all 127.0.0.1/32 scram-sha-256\n"
        )
        (started.data / "pg_hba.conf").write_text(rules)
        with started.connect() as connection:
            connection.execute("ALTER SYSTEM SET ssl = on")
            connection.execute("CREATE ROLE asked LOGIN PASSWORD 'y'")
            connection.execute("CREATE ROLE \"no SSL\" LOGIN PASSWORD 'y'")
        started.stop()
        started.start()
        yield started


@pytest.fixture
def url(server: Cluster, say: Any) -> Iterator[str]:
    """The URL of a store, with verification of the server."""
    name = server.create_database()
    url = f"{server.url(name)}?sslmode=verify-full&sslrootcert={server.data}/server.crt"
    init_store(url, say.provenance).close()
    yield url
    server.drop_database(name)


def deliver(line: Line) -> None:
    line.server.sendall(line.data)


def deliver_without_answer(line: Line) -> None:
    """The server receives the message, but its answer is lost."""
    line.is_mute = True
    deliver(line)
    line.cut()


@pytest.mark.parametrize("lost", [Line.cut, deliver_without_answer], ids=["message", "answer"])
def test_a_change_is_committed_once_whichever_message_is_lost(
    server: Cluster, url: str, say: Any, lost: Callable[[Line], None]
) -> None:
    """Each message is lost once, from the TLS handshake to the commit. They are encrypted, so the
    proxy cannot tell them apart."""
    with Proxy(server.port) as proxy:
        through = url.replace(str(server.port), str(proxy.port))
        with open_store(through) as store:
            plan, revision = say.start(), 0
            while True:
                store._database.engine.dispose()
                for _ in range(revision):
                    proxy.at(b"", deliver)
                proxy.at(b"", lost)
                revision += 1
                assert store.commit([plan], None, say.provenance) == revision
                if not proxy.is_done:
                    break
                made = say.domain(f"d{revision}.example", None, say.through("ses"))
                plan = say.plan(revision, made)
    with open_store(url) as store:
        history = store.history()
    assert revision > 15
    assert len(history) == 1 + 2 + revision - 1
    assert {entry.revision for entry in history} == set(range(revision + 1))


NO_AUTHORITY, UNTRUSTED, OTHER_HOST, TLS, BARRED, PASSWORD = (
    "cannot be verified: the certificate of its authority is missing",
    "is not trusted",
    "is for another host",
    "encrypted connection",
    "does not allow the database user",
    "refused the user",
)
WRONG = {
    "another authority": ("sslmode=verify-full&sslrootcert=other.crt", UNTRUSTED),
    "a missing certificate of the authority": (
        "sslmode=verify-full&sslrootcert=none.crt",
        NO_AUTHORITY,
    ),
    "a file without a certificate": ("sslmode=verify-full&sslrootcert=server.key", NO_AUTHORITY),
    "a mode that does not verify the name": ("sslmode=verify-ca&sslrootcert=system", TLS),
    "a host that is not in the certificate": ("sslmode=verify-full&host=localhost", OTHER_HOST),
    "no encryption, which the server requires": ("sslmode=disable", BARRED),
    "a user that is refused with and without encryption": ("sslmode=prefer&user=barred", BARRED),
    "a wrong password": ("sslmode=require&user=asked&password=x", PASSWORD),
    "a wrong password, tried again without encryption": (
        "sslmode=prefer&user=asked&password=x",
        PASSWORD,
    ),
    "a user whose name contains SSL": ("sslmode=require&user=no%20SSL&password=x", PASSWORD),
}


def test_the_authorities_of_the_system_are_those_of_openssl(
    server: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver's own OpenSSL has none, so docs/operations.md names a variable."""
    monkeypatch.setenv("SSL_CERT_FILE", str(server.data / "server.crt"))
    with pytest.raises(ProblemError, match="no store"):
        open_store(f"{server.url('postgres')}?sslmode=verify-full&sslrootcert=system")


@pytest.mark.parametrize(("words", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_refused_connection_is_reported_with_its_reason(
    server: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, message: str
) -> None:
    write_certificate(tmp_path)
    (tmp_path / "server.crt").rename(tmp_path / "other.crt")
    monkeypatch.setenv("PGSSLROOTCERT", str(server.data / "server.crt"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProblemError, match=message):
        open_store(f"{server.url('postgres')}?{words}")
