"""The outcomes of connection tests, compared with those of Postfix's client on the same servers.

posttls-finger(1) connects, greets and verifies as smtp(8) does, and reads its settings from the one
description that connection tests have. It does not sign in and knows no HELO. If it is missing
these tests are skipped; ``make test`` unpacks it if it can.
"""

import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from tests.postfix.programs import client_cf, environment, program

from sendroute.model.smtp_client import SMTP_CLIENT

from .peers import CLIENT, Authority, Check, Hosts, Serve, Talk, hang_up, stall
from .test_tls import issued_by_an_intermediate, server_side

NAME = "localhost"
"""posttls-finger resolves names as the system does, so the server is where every system has it."""

PROGRAM = program("posttls-finger")
pytestmark = pytest.mark.skipif(
    PROGRAM is None,
    reason="NOT COMPARED WITH POSTFIX: posttls-finger is missing (install the package postfix)",
)

Postfix = Callable[..., bool]
"""Whether Postfix would use a server: ``postfix(port, encryption)``."""


@pytest.fixture
def postfix(tmp_path: Path, authority: Authority) -> Postfix:
    (tmp_path / "main.cf").write_text(client_cf(CLIENT))
    variables = environment(tmp_path)

    def is_usable(port: int, encryption: str, timeout: int = 5) -> bool:
        wrapper = ["-w"] if encryption == "tls" else []
        command = [
            str(PROGRAM),
            *("-h", "native", "-a", "ipv4", "-t", str(timeout), "-T", str(timeout)),
            *("-l", "none" if encryption == "none" else "secure"),
            *("-F", authority.file, "-p", f">={SMTP_CLIENT.tls_minimum}", "-s", NAME),
            *("-g", "medium"),
            *wrapper,
            f"[{NAME}]:{port}",
        ]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)
        output = done.stdout + done.stderr
        assert "Connected to" in output, output  # otherwise it did not even start
        if encryption == "none":
            return "> QUIT" in output
        return "Verified TLS connection established" in output

    return is_usable


def rsa(authority: Authority, ciphers: str) -> ssl.SSLContext:
    context = authority.context(NAME, key_type=trustme.KeyType.RSA)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(ciphers)
    return context


def old_tls(authority: Authority) -> ssl.SSLContext:
    context = rsa(authority, "ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


SERVERS: dict[str, Callable[[Authority], ssl.SSLContext]] = {
    "in order": lambda ca: ca.context(NAME),
    "with a wildcard": lambda ca: ca.context("*.example.test", NAME),
    "of another name": lambda ca: ca.context("other.example.test"),
    "with TLS 1.1 only": old_tls,
    "with RSA key exchange": lambda ca: rsa(ca, "AES128-SHA"),
    "with a SHA-1 MAC": lambda ca: rsa(ca, "ECDHE-RSA-AES256-SHA"),
    "with a NULL cipher": lambda ca: rsa(ca, "NULL-SHA256:@SECLEVEL=0"),
    "with an anonymous cipher": lambda ca: rsa(ca, "ADH-AES128-SHA:@SECLEVEL=0"),
    "of an unknown authority": lambda _: Authority(trustme.CA(), "").context(NAME),
    "self-signed": lambda _: server_side([x509.DNSName(NAME)]),
    "with a complete chain": lambda ca: issued_by_an_intermediate(
        ca, sends_chain=True, names_issuer=False, name=NAME
    ),
    "with an incomplete chain": lambda ca: issued_by_an_intermediate(
        ca, sends_chain=False, names_issuer=False, name=NAME
    ),
}


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("encryption", ["starttls", "tls"])
@pytest.mark.parametrize("kind", SERVERS)
def test_both_give_the_same_outcome_on_tls(
    check: Check,
    serve: Serve,
    hosts: Hosts,
    authority: Authority,
    postfix: Postfix,
    kind: str,
    encryption: str,
) -> None:
    context = SERVERS[kind](authority)
    server = serve(context=context, implicit=encryption == "tls")
    resolver = hosts(f"127.0.0.1 {NAME}")
    result = check(server.port, encryption, host=NAME, credential=None, resolver=resolver)
    assert (result.outcome == "ok") is postfix(server.port, encryption), result.detail


def late(talk: Talk) -> None:
    talk.stopped.wait(2)
    talk.send(b"220 x\r\n")
    talk.line()
    talk.send(b"250 x\r\n")
    talk.line()
    talk.send(b"221 bye\r\n")


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param({}, id="in order"),
        pytest.param({"GREETING": late}, id="a greeting after two seconds"),
        pytest.param({"GREETING": stall}, id="no greeting"),
        pytest.param({"GREETING": hang_up}, id="closed at once"),
        pytest.param({"GREETING": b"421 busy\r\n"}, id="421"),
        pytest.param({"GREETING": b"554 no\r\n"}, id="554"),
        pytest.param({"GREETING": b"220-a\r\n220-\r\n220\r\n"}, id="a greeting of many lines"),
        pytest.param({"EHLO": b"421 busy\r\n"}, id="421 to EHLO"),
        pytest.param({"EHLO": hang_up}, id="closed at EHLO"),
    ],
)
def test_both_give_the_same_outcome_on_a_session(
    check: Check, serve: Serve, hosts: Hosts, postfix: Postfix, answers
) -> None:
    server = serve(answers=answers)
    resolver = hosts(f"127.0.0.1 {NAME}")
    result = check(server.port, "none", host=NAME, credential=None, resolver=resolver, deadline=5)
    assert (result.outcome == "ok") is postfix(server.port, "none"), result.detail
    names = {line.split()[1] for line in server.lines if line.startswith(b"EHLO")}
    assert names <= {CLIENT.encode()}


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param({"EHLO": b"250 x\r\n"}, id="not offered"),
        pytest.param({"STARTTLS": b"454 later\r\n"}, id="refused for now"),
        pytest.param({"STARTTLS": b"502 what?\r\n"}, id="refused"),
        pytest.param({"STARTTLS": hang_up}, id="closed"),
    ],
)
def test_neither_uses_a_server_without_the_required_tls(
    check: Check, serve: Serve, hosts: Hosts, authority: Authority, postfix: Postfix, answers
) -> None:
    server = serve(answers=answers, context=authority.context(NAME))
    resolver = hosts(f"127.0.0.1 {NAME}")
    result = check(server.port, "starttls", host=NAME, credential=None, resolver=resolver)
    assert result.outcome != "ok"
    assert not postfix(server.port, "starttls")
