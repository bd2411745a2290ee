"""STARTTLS is mandatory if configured, and certificates are verified."""

import base64
import datetime
import ipaddress
import os
import socket
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sendroute.connection import probe

from .peers import (
    CANARY,
    HOST,
    Authority,
    Check,
    Serve,
    Server,
    Talk,
    hang_up,
    secret_forms,
    stall,
)

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def assert_no_secret_received(server: Server) -> None:
    came = b"\n".join(server.lines).decode(errors="replace")
    assert "AUTH" not in came
    for secret in secret_forms():
        assert secret not in came


def inject_at_once(talk: Talk) -> None:
    """In one segment with the reply to STARTTLS: CVE-2011-0411, CVE-2021-38371 and others."""
    talk.send(b"220 go ahead\r\n250-x\r\n250 AUTH PLAIN\r\n")
    talk.line()


def inject_half_a_line(talk: Talk) -> None:
    talk.send(b"220 go ahead\r\n250-")
    talk.line()


def inject_after(authority: Authority) -> Callable[[Talk], None]:
    """In a separate segment, before the server's handshake."""

    def inject(talk: Talk) -> None:
        talk.connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        talk.send(b"220 go ahead\r\n")
        talk.send(b"250-x\r\n250 AUTH PLAIN\r\n")
        talk.wrap(authority.context())
        while talk.line() is not None:
            talk.send(b"250 AUTH PLAIN\r\n")

    return inject


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        pytest.param({"EHLO": b"250-x\r\n250 AUTH PLAIN\r\n"}, "not offer", id="stripped"),
        pytest.param({"EHLO": b"250-x\r\n250 XSTARTTLS\r\n"}, "not offer", id="another keyword"),
        pytest.param({"STARTTLS": b"502 what?\r\n"}, "(502)", id="refused"),
        pytest.param({"STARTTLS": hang_up}, "closed the connection", id="closed"),
        pytest.param({"STARTTLS": b"hello\r\n"}, "not an SMTP reply", id="no reply at all"),
        pytest.param({"STARTTLS": inject_at_once}, "before a command", id="text injected"),
        pytest.param({"STARTTLS": inject_half_a_line}, "before a command", id="half a line"),
    ],
)
def test_without_tls_the_session_ends(
    check: Check, serve: Serve, authority: Authority, answers: dict[str, bytes], reason: str
) -> None:
    server = serve(answers=answers, context=authority.context())
    result = check(server.port, "starttls")
    assert result.outcome == "tls-failed"
    assert reason in result.detail
    assert_no_secret_received(server)


def test_any_success_begins_a_handshake_and_nothing_is_sent_without_it(
    check: Check, serve: Serve, authority: Authority
) -> None:
    """As Postfix does. This server says 250 in place of 220, and does not begin one."""
    server = serve(answers={"STARTTLS": b"250 fine\r\n"}, context=authority.context())
    result = check(server.port, "starttls")
    assert result.outcome == "protocol-error"
    assert "did not finish STARTTLS" in result.detail
    assert_no_secret_received(server)


@pytest.mark.parametrize("answer", [b"454 4.7.0 no\r\n", b"421 4.3.2 down\r\n"])
def test_starttls_refused_for_now_is_a_temporary_failure(
    check: Check, serve: Serve, authority: Authority, answer: bytes
) -> None:
    server = serve(answers={"STARTTLS": answer}, context=authority.context())
    result = check(server.port, "starttls")
    assert result.outcome == "temporary-failure"
    assert_no_secret_received(server)


def test_text_injected_in_a_separate_segment_is_rejected(
    check: Check, serve: Serve, authority: Authority
) -> None:
    for _ in range(5):  # it arrives before, at or during the handshake
        server = serve(answers={"STARTTLS": inject_after(authority)}, context=authority.context())
        assert check(server.port, "starttls").outcome == "tls-failed"
        assert_no_secret_received(server)


def test_tls_is_mandatory_also_without_credentials(check: Check, serve: Serve) -> None:
    assert check(serve().port, "starttls", credential=None).outcome == "tls-failed"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(b"220 mx.example.test ESMTP\r\n", "is not TLS", id="a server of STARTTLS"),
        pytest.param(hang_up, "closed the connection during the TLS", id="closed in the handshake"),
        pytest.param(b"\x15\x03\x03\x00\x02\x02\x28", "HANDSHAKE_FAILURE", id="an alert"),
    ],
)
def test_an_answer_that_is_not_tls_fails(
    check: Check, serve: Serve, answer: bytes, reason: str
) -> None:
    server = serve(answers={"TLS": answer}, implicit=True)
    result = check(server.port, "tls")
    assert result.outcome == "tls-failed"
    assert reason in result.detail
    assert_no_secret_received(server)


def test_a_connection_closed_within_tls_is_a_protocol_error(
    check: Check, serve: Serve, authority: Authority
) -> None:
    """Without close_notify, as from many servers."""
    server = serve(answers={"AUTH": hang_up}, context=authority.context(), implicit=True)
    result = check(server.port, "tls")
    assert result.outcome == "protocol-error"
    assert "closed the connection during AUTH" in result.detail


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("encryption", ["tls", "starttls"])
def test_a_server_with_only_old_tls_fails(
    check: Check, serve: Serve, authority: Authority, encryption: str
) -> None:
    context = authority.context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    server = serve(context=context, implicit=encryption == "tls")
    result = check(server.port, encryption)
    assert result.outcome == "tls-failed"
    assert "TLS 1.2 or newer" in result.detail
    assert_no_secret_received(server)


@pytest.mark.parametrize(
    "cipher", ["AES128-SHA", "ECDHE-RSA-AES256-SHA", "AES256-GCM-SHA384", "AES128-SHA256"]
)
@pytest.mark.parametrize("encryption", ["tls", "starttls"])
def test_every_default_cipher_of_openssl_is_accepted(
    check: Check, serve: Serve, authority: Authority, encryption: str, cipher: str
) -> None:
    """RSA key exchange and SHA-1 MACs, which Python's own list leaves out and Postfix takes."""
    context = authority.context(key_type=trustme.KeyType.RSA)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(cipher)
    server = serve(context=context, implicit=encryption == "tls")
    assert check(server.port, encryption).outcome == "ok"


@pytest.mark.parametrize("cipher", ["NULL-SHA256", "AECDH-NULL-SHA", "ADH-AES128-SHA"])
def test_a_cipher_that_protects_nothing_is_refused(
    check: Check, serve: Serve, authority: Authority, cipher: str
) -> None:
    context = authority.context(key_type=trustme.KeyType.RSA)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{cipher}:@SECLEVEL=0")
    assert check(serve(context=context, implicit=True).port, "tls").outcome == "tls-failed"


def test_tls_1_2_is_enough(check: Check, serve: Serve, authority: Authority) -> None:
    context = authority.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    result = check(serve(context=context, implicit=True).port, "tls")
    assert result.outcome == "ok"
    assert "TLS 1.2" in result.detail


def test_a_server_that_requires_a_client_certificate_fails(
    check: Check, serve: Serve, authority: Authority
) -> None:
    """With TLS 1.3 this fails after the client's handshake is complete."""
    context = authority.context()
    context.verify_mode = ssl.CERT_REQUIRED
    server = serve(context=context, implicit=True)
    result = check(server.port, "tls")
    assert result.outcome == "tls-failed"
    assert_no_secret_received(server)


def test_the_host_name_is_sent_in_the_handshake(
    check: Check, serve: Serve, authority: Authority
) -> None:
    names: list[str | None] = []
    context = authority.context()
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    server = serve(context=context, implicit=True)
    assert check(server.port, "tls", host=f"{HOST}.").outcome == "ok"
    assert names == [HOST]


def test_an_address_is_verified_but_not_sent(
    check: Check, serve: Serve, authority: Authority
) -> None:
    names: list[str | None] = []
    context = authority.context("127.0.0.1")
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    server = serve(context=context, implicit=True)
    assert check(server.port, "tls", host="127.0.0.1", credential=None).outcome == "ok"
    assert names == [None]
    other = serve(context=authority.context(HOST, "127.0.0.2"), implicit=True)
    result = check(other.port, "tls", host="127.0.0.1", credential=None)
    assert result.detail == (
        f"The server's certificate is not valid for 127.0.0.1 but for {HOST}, 127.0.0.2."
    )


def server_side(
    names: Sequence[x509.GeneralName],
    issuer: trustme.CA | None = None,
    chain: bytes = b"",
    *,
    names_issuer: bool = False,
) -> ssl.SSLContext:
    """A certificate that trustme does not create: with any names; self-signed without an issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "self")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer._certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    if names_issuer:
        at = x509.UniformResourceIdentifier("http://ca.example.test/issuer.der")
        access = x509.AccessDescription(x509.AuthorityInformationAccessOID.CA_ISSUERS, at)
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    certificate = builder.sign(issuer._private_key if issuer else key, hashes.SHA256())
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pem = secret + certificate.public_bytes(serialization.Encoding.PEM) + chain
    with trustme.Blob(pem).tempfile() as path:
        context.load_cert_chain(path)
    return context


def expired_copy(ca: trustme.CA, issuer: trustme.CA) -> bytes:
    """The same authority, issued by another authority that is expired."""
    copied = (
        x509.CertificateBuilder()
        .subject_name(ca._certificate.subject)
        .issuer_name(issuer._certificate.subject)
        .public_key(ca._private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 9 * DAY)
        .not_valid_after(NOW - DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(issuer._private_key, hashes.SHA256())
    )
    return copied.public_bytes(serialization.Encoding.PEM)


def certificates(authority: Authority) -> dict[str, tuple[ssl.SSLContext, str]]:
    """The server's context and the expected sentence for each problem."""
    past, future = NOW - DAY, NOW + 30 * DAY
    many = [f"h{n}.example.test" for n in range(8)]
    return {
        "another name": (
            authority.context("a.example.test", "*.b.example.test"),
            f"not valid for {HOST} but for a.example.test, *.b.example.test.",
        ),
        "many other names": (
            authority.context(*many),
            f"not valid for {HOST} but for {', '.join(many[:5])} and 3 more.",
        ),
        "a wildcard for another level": (
            authority.context("*.test"),
            f"not valid for {HOST} but for *.test.",
        ),
        "expired": (
            authority.context(HOST, not_before=NOW - 9 * DAY, not_after=past),
            f"expired on {past:%Y-%m-%d}.",
        ),
        "not yet valid": (
            authority.context(HOST, not_before=future, not_after=NOW + 60 * DAY),
            f"valid only from {future:%Y-%m-%d}.",
        ),
        "self-signed": (server_side([x509.DNSName(HOST)]), "is self-signed,"),
        "of an unknown authority": (
            Authority(trustme.CA(), "").context(HOST),
            "is issued by an unknown authority",
        ),
    }


@pytest.mark.parametrize("encryption", ["tls", "starttls"])
@pytest.mark.parametrize(
    "wrong",
    [
        "another name",
        "many other names",
        "a wildcard for another level",
        "expired",
        "not yet valid",
        "self-signed",
        "of an unknown authority",
    ],
)
def test_a_rejected_certificate_is_explained(
    check: Check, serve: Serve, authority: Authority, encryption: str, wrong: str
) -> None:
    context, reason = certificates(authority)[wrong]
    server = serve(context=context, implicit=encryption == "tls")
    result = check(server.port, encryption)
    assert result.outcome == "tls-failed"
    assert reason in result.detail
    assert_no_secret_received(server)


def test_a_wildcard_for_the_hosts_level_is_accepted(
    check: Check, serve: Serve, authority: Authority
) -> None:
    server = serve(context=authority.context("*.example.test"), implicit=True)
    assert check(server.port, "tls").outcome == "ok"


def test_an_expired_issuer_is_reported_without_a_date(
    check: Check, serve: Serve, authority: Authority
) -> None:
    """The date of the server's own certificate would be misleading."""
    between = authority.ca.create_child_ca()
    chain = expired_copy(between, authority.ca)
    context = server_side([x509.DNSName(HOST)], between, chain)
    result = check(serve(context=context, implicit=True).port, "tls")
    assert result.outcome == "tls-failed"
    assert result.detail == "A certificate in the chain of the server's certificate is expired."


def issued_by_an_intermediate(
    authority: Authority, *, sends_chain: bool, names_issuer: bool, name: str = HOST
) -> ssl.SSLContext:
    between = authority.ca.create_child_ca()
    chain = between.cert_pem.bytes() if sends_chain else b""
    return server_side([x509.DNSName(name)], between, chain, names_issuer=names_issuer)


def test_a_complete_chain_is_accepted(check: Check, serve: Serve, authority: Authority) -> None:
    context = issued_by_an_intermediate(authority, sends_chain=True, names_issuer=False)
    assert check(serve(context=context, implicit=True).port, "tls").outcome == "ok"


@pytest.mark.parametrize("encryption", ["tls", "starttls"])
@pytest.mark.parametrize("names_issuer", [True, False], ids=["public", "private"])
def test_an_incomplete_chain_is_no_unknown_authority(
    check: Check, serve: Serve, authority: Authority, encryption: str, names_issuer: bool
) -> None:
    context = issued_by_an_intermediate(authority, sends_chain=False, names_issuer=names_issuer)
    server = serve(context=context, implicit=encryption == "tls")
    result = check(server.port, encryption)
    assert result.outcome == "tls-failed"
    assert "chain is incomplete" in result.detail
    assert ("unknown authority" in result.detail) is not names_issuer
    assert "must send the intermediate certificates" in (result.advice or "")
    assert_no_secret_received(server)


def test_a_complete_chain_of_an_unknown_authority_is_not_called_incomplete(
    check: Check, serve: Serve
) -> None:
    unknown = Authority(trustme.CA(), "")
    context = issued_by_an_intermediate(unknown, sends_chain=True, names_issuer=True)
    result = check(serve(context=context, implicit=True).port, "tls")
    assert result.detail == "The server's certificate is issued by an unknown authority."
    assert "caFile" in (result.advice or "")


# Advice


def test_starttls_that_is_offered_and_not_used_is_pointed_out(
    check: Check, serve: Serve, authority: Authority
) -> None:
    server = serve(context=authority.context())
    result = check(server.port, "none")
    assert (result.outcome, result.advice) == (
        "ok",
        "The server offers STARTTLS. Set encryption: starttls.",
    )
    only_in_tls = {"EHLO": b"250-x\r\n250 STARTTLS\r\n"}
    result = check(serve(answers=only_in_tls).port, "none")
    assert (result.outcome, result.advice) == (
        "auth-failed",
        "The server offers STARTTLS. Set encryption: starttls.",
    )
    refused = {"AUTH": b"530 5.7.0 Must issue a STARTTLS command first\r\n"}
    result = check(serve(answers=refused, context=authority.context()).port, "none")
    assert (result.outcome, result.advice) == (
        "auth-failed",
        "The server offers STARTTLS. Set encryption: starttls.",
    )


@pytest.fixture
def well_known_port(monkeypatch: pytest.MonkeyPatch) -> Callable[[Server, bool | None], None]:
    """Say of a server's port whether it is for TLS from the first byte."""

    def say(server: Server, at_once: bool | None) -> None:
        known = {server.port: at_once}
        monkeypatch.setattr(probe, "speaks_tls_at_once", lambda _provider, port: known[port])

    return say


@pytest.mark.parametrize("behaviour", [hang_up, stall])
@pytest.mark.parametrize("encryption", ["none", "starttls"])
def test_a_silent_tls_port_needs_tls(
    check: Check, serve: Serve, well_known_port, behaviour, encryption: str
) -> None:
    server = serve(answers={"GREETING": behaviour})
    well_known_port(server, True)
    result = check(server.port, encryption, deadline=0.5)
    assert result.outcome == "protocol-error"
    assert (
        result.advice == f"Port {server.port} is for TLS from the first byte. Set encryption: tls."
    )


@pytest.mark.parametrize("behaviour", [hang_up, stall])
@pytest.mark.parametrize("at_once", [False, None])
def test_a_silent_port_that_is_not_for_tls_gets_no_such_advice(
    check: Check, serve: Serve, well_known_port, behaviour, at_once: bool | None
) -> None:
    server = serve(answers={"GREETING": behaviour})
    well_known_port(server, at_once)
    result = check(server.port, "starttls", deadline=0.5)
    assert result.outcome == "protocol-error"
    assert "is for TLS" not in f"{result.detail} {result.advice}"
    # A stalled port of unknown meaning may be one for TLS: that is said as a condition.
    is_open = at_once is None and behaviour is stall
    assert ("encryption: tls" in f"{result.detail} {result.advice}") == is_open


def test_a_tls_port_that_greets_first_gets_no_such_advice(
    check: Check, serve: Serve, well_known_port
) -> None:
    """What was seen counts: the server spoke, so it is not waiting for TLS."""
    server = serve(answers={"EHLO": b"550 no\r\n"})
    well_known_port(server, True)
    result = check(server.port, "starttls")
    assert (result.outcome, result.advice) == ("protocol-error", None)


def test_a_port_that_greets_first_is_recognised_by_its_greeting(check: Check, serve: Serve) -> None:
    result = check(serve().port, "tls")
    assert result.outcome == "tls-failed"
    assert result.advice is not None
    assert "encryption: starttls" in result.advice


@pytest.mark.parametrize("behaviour", [hang_up, stall])
def test_a_starttls_port_that_ends_a_handshake_needs_starttls(
    check: Check, serve: Serve, well_known_port, behaviour
) -> None:
    server = serve(answers={"TLS": behaviour}, implicit=True)
    well_known_port(server, False)
    result = check(server.port, "tls", deadline=0.5)
    assert result.advice == f"Port {server.port} is for STARTTLS. Set encryption: starttls."


def test_special_characters_in_certificate_names_are_not_shown(
    check: Check, serve: Serve, authority: Authority
) -> None:
    names = [
        x509.DNSName("a\x1b[31m\u0000"),
        x509.DNSName("fine.example.test"),
        x509.DNSName("has space"),
        x509.IPAddress(ipaddress.ip_address("192.0.2.1")),
    ]
    context = server_side(names, authority.ca)
    result = check(serve(context=context, implicit=True).port, "tls")
    assert result.outcome == "tls-failed"
    assert result.detail.endswith("but for fine.example.test, 192.0.2.1.")


def test_the_inspection_uses_the_same_address_and_sends_nothing(
    check: Check, serve: Serve, authority: Authority
) -> None:
    server = serve(context=authority.context("other.example.test"))
    assert check(server.port, "starttls").outcome == "tls-failed"
    assert len(server.talks) == 2
    assert [line.split()[0] for line in server.talks[1].lines] == [b"EHLO", b"STARTTLS"]


def test_the_reason_is_reported_even_if_the_inspection_fails(
    check: Check, serve: Serve, authority: Authority
) -> None:
    server = serve(context=authority.context("other.example.test"), implicit=True)
    first = server.context

    def once(talk: Talk) -> None:
        assert first is not None
        if len(server.talks) > 1:
            talk.stall()
        talk.wrap(first)

    server.answers["TLS"] = once
    result = check(server.port, "tls", deadline=1)
    assert result.outcome == "tls-failed"
    assert result.detail == f"The server's certificate is not valid for {HOST}."


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(None, "cannot be read (no such file or directory)", id="not there"),
        pytest.param("", "holds no certificate", id="empty"),
        pytest.param("-----BEGIN CERTIFICATE-----\nx\n", "holds no certificate", id="broken"),
        pytest.param("\ufeff# ours\n", "begins with a byte-order mark", id="a byte-order mark"),
    ],
)
def test_an_unreadable_ca_file_fails(
    check: Check, serve: Serve, tmp_path: Path, content: str | None, reason: str
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    server = serve()
    result = check(server.port, "tls", ca_file=str(path))
    assert result.outcome == "tls-failed"
    assert "caFile" in result.detail
    assert result.advice == f"Correct the caFile of the MailPlatform, or the file at {path}."
    assert reason in result.detail
    assert not server.talks
    assert check(server.port, "none", ca_file=str(path)).outcome == "ok"


def test_a_ca_file_that_is_a_fifo_fails_at_once(check: Check, serve: Serve, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ca.pem")
    result = check(serve().port, "tls", ca_file=str(tmp_path / "ca.pem"))
    assert result.outcome == "tls-failed"
    assert "cannot be read (it is not a regular file)" in result.detail


def test_without_a_ca_file_only_the_systems_authorities_count(
    check: Check, serve: Serve, authority: Authority
) -> None:
    server = serve(context=authority.context(), implicit=True)
    assert check(server.port, "tls", ca_file=None).outcome == "tls-failed"


def test_the_password_is_sent_only_within_tls(
    check: Check, serve: Serve, authority: Authority
) -> None:
    server = serve(context=authority.context())
    assert check(server.port, "starttls").outcome == "ok"
    where = [line for line in server.talks[0].lines if line.startswith(b"AUTH")]
    assert base64.b64decode(where[0].split()[2]).endswith(CANARY.password.encode())
    assert server.talks[0].in_tls
