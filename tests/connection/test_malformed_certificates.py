"""Certificates that a hostile server sends: whatever they hold, each test has a result."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sendroute.connection import run as running
from sendroute.connection.certificate import CertificateChain, rejection
from sendroute.connection.run import run_tests
from sendroute.model.connection import ConnectionPolicy, TestRequest
from sendroute.model.profile import Encryption, Profile

from .peers import HOST, LOOPBACK, SHOP, Hosts, Serve

KEY = ec.generate_private_key(ec.SECP256R1())
SAN, AIA = x509.SubjectAlternativeName.oid, x509.AuthorityInformationAccess.oid
# DER: an x400Address and an ediPartyName, names that the library does not support, and an
# accessDescription (caIssuers) with each.
X400, EDI = bytes.fromhex("a3023000"), bytes.fromhex("a505a1030c0178")
CA_ISSUERS = bytes.fromhex("06082b06010505073002")


def sequence(content: bytes) -> bytes:
    return bytes([0x30, len(content)]) + content


def certificate(*extensions: tuple[x509.ObjectIdentifier, bytes]) -> bytes:
    now = datetime.now(UTC)

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    builder = (
        x509.CertificateBuilder()
        .subject_name(name("SUBJECTS"))
        .issuer_name(name("THEISSUER"))
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(1))
        .not_valid_after(now + timedelta(1))
    )
    for oid, content in extensions:
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, content), critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def malformed() -> Iterator[tuple[str, bytes]]:
    plain = certificate()
    version = b"\xa0\x03\x02\x01\x02"
    assert plain.count(version) == 1
    yield "version 8", plain.replace(version, b"\xa0\x03\x02\x01\x07")
    for kind, name in (("x400", X400), ("edi", EDI)):
        yield f"alternative name {kind}", certificate((SAN, sequence(name)))
        yield f"issuer at {kind}", certificate((AIA, sequence(sequence(CA_ISSUERS + name))))
    yield "alternative names that are no list", certificate((SAN, b"\xff\xff"))
    for kind, tag in {"bits": 3, "integer": 2, "IA5": 22, "teletex": 20, "sequence": 0x30}.items():
        for old in (b"\x0c\x08SUBJECTS", b"\x0c\x09THEISSUER"):
            assert plain.count(old) == 1
            value = bytes([tag, old[1]]) + b"\xff\xfe" * 4 + b"A" * (old[1] - 8)
            yield f"{old[2:].decode()} of {kind}", plain.replace(old, value)
    yield "half of it", plain[: len(plain) // 2]


MALFORMED = dict(malformed())


@pytest.mark.parametrize("der", MALFORMED.values(), ids=MALFORMED.keys())
def test_every_rejection_has_a_sentence(der: bytes) -> None:
    for code in range(90):
        for issuers in (None, (), (der,)):
            detail, _ = rejection(code, HOST, CertificateChain(der, issuers))
            assert detail.endswith(".")
            assert detail.isprintable()


@pytest.fixture
def unreadable_names(serve: Serve) -> int:
    """The port of a server with a certificate whose names the library cannot read."""
    der = certificate((SAN, sequence(X400)))
    key = KEY.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with trustme.Blob(key + ssl.DER_cert_to_PEM_cert(der).encode()).tempfile() as path:
        context.load_cert_chain(path)
    return serve(context=context, implicit=True).port


def results(hosts: Hosts, *ports: int) -> list[str]:
    profiles = [Profile(HOST, port, Encryption.TLS) for port in ports]
    tested = run_tests(
        [TestRequest(SHOP, f"p{n}", profile) for n, profile in enumerate(profiles)],
        policy=ConnectionPolicy(LOOPBACK),
        resolver=hosts(f"127.0.0.1 {HOST}"),
    )
    return [result.outcome for result in tested]


def test_a_malformed_certificate_fails_its_own_test_only(
    unreadable_names: int, serve: Serve, hosts: Hosts
) -> None:
    plain = serve().port
    assert results(hosts, unreadable_names, plain) == ["tls-failed", "tls-failed"]


def test_a_bug_in_one_test_leaves_the_others_alone(
    serve: Serve, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, probe = serve().port, running.probe

    def fails_once(request: TestRequest, *others: object) -> object:
        if request.name == "p0":
            raise KeyError("a bug")
        return probe(request, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(running, "probe", fails_once)
    assert results(hosts, port, port) == ["protocol-error", "tls-failed"]
