"""Connections that are encrypted, to a server that is checked: what is lost on them is found out as
on any other, and one that cannot be made is told."""

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


def write_certificate(folder: Path) -> None:
    """Its own authority, for this host alone."""
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
    (folder / "server.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "server.key").write_bytes(plain)


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
        with started.connect() as own:
            own.execute("ALTER SYSTEM SET ssl = on")
            own.execute("CREATE ROLE asked LOGIN PASSWORD 'y'")
            own.execute("CREATE ROLE \"no SSL\" LOGIN PASSWORD 'y'")
        started.stop()
        started.start()
        yield started


@pytest.fixture
def url(server: Cluster, say: Any) -> Iterator[str]:
    """A store's, of a server that is checked."""
    name = server.create_database()
    url = f"{server.url(name)}?sslmode=verify-full&sslrootcert={server.data}/server.crt"
    init_store(url, say.provenance).close()
    yield url
    server.drop_database(name)


def arrive(line: Line) -> None:
    line.server.sendall(line.data)


def arrive_unanswered(line: Line) -> None:
    """The server may do it; nobody hears of it."""
    line.is_mute = True
    arrive(line)
    line.cut()


@pytest.mark.parametrize("lost", [Line.cut, arrive_unanswered], ids=["it", "its answer"])
def test_whichever_message_is_lost_the_change_is_made_once(
    server: Cluster, url: str, say: Any, lost: Callable[[Line], None]
) -> None:
    """From the first word about a certificate to the commit; nobody sees which is which."""
    with Proxy(server.port) as proxy:
        through = url.replace(str(server.port), str(proxy.port))
        with open_store(through) as store:
            plan, revision = say.start(), 0
            while True:
                store._database.engine.dispose()
                for _ in range(revision):
                    proxy.at(b"", arrive)
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


TLS, BARRED, WORD = "encrypted connection", "does not allow this user", "this user and password"
WRONG = {
    "an authority that is another": ("sslmode=verify-full&sslrootcert=other.crt", TLS),
    "an authority's certificate that is none": ("sslmode=verify-full&sslrootcert=none.crt", TLS),
    "a host that the certificate does not name": ("sslmode=verify-full&host=localhost", TLS),
    "encryption that the server demands": ("sslmode=disable", BARRED),
    "a user that is let in neither way": ("sslmode=prefer&user=barred", BARRED),
    "a password that is wrong": ("sslmode=require&user=asked&password=x", WORD),
    "a password that is wrong, tried again without encryption": (
        "sslmode=prefer&user=asked&password=x",
        WORD,
    ),
    "a user whose name says something else": ("sslmode=require&user=no%20SSL&password=x", WORD),
}


@pytest.mark.parametrize(("words", "told"), WRONG.values(), ids=WRONG.keys())
def test_what_is_not_as_demanded_is_told(
    server: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, told: str
) -> None:
    write_certificate(tmp_path)
    (tmp_path / "server.crt").rename(tmp_path / "other.crt")
    monkeypatch.setenv("PGSSLROOTCERT", str(server.data / "server.crt"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProblemError, match=told):
        open_store(f"{server.url('postgres')}?{words}")
