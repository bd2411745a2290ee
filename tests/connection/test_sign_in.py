"""AUTH: which mechanism, how often, and what is never sent."""

import base64
import hmac

import pytest

from sendroute.connection.run import run_tests
from sendroute.model.connection import ConnectionPolicy, TestRequest
from sendroute.model.credential import Credential
from sendroute.model.profile import Encryption, Profile

from .peers import CANARY, HOST, LOOPBACK, SHOP, Authority, Check, Hosts, Serve, Talk

CHALLENGE = b"<1896.697170952@postoffice.example>"


def offering(*lines: bytes) -> bytes:
    return b"".join(b"250-" + line + b"\r\n" for line in (b"hello", *lines)) + b"250 HELP\r\n"


def cram_md5(talk: Talk) -> None:
    """Accept only the correct answer (RFC 2195)."""
    talk.send(b"334 " + base64.b64encode(CHALLENGE) + b"\r\n")
    answer = base64.b64decode(talk.line() or b"")
    digest = hmac.new(CANARY.password.encode(), CHALLENGE, "md5").hexdigest()
    right = answer == f"{CANARY.username} {digest}".encode()
    talk.send(b"235 in\r\n" if right else b"535 5.7.8 out\r\n")
    talk.line()


def login(talk: Talk) -> None:
    """Ask for the username even if it was sent with AUTH, as some servers do."""
    given = []
    for prompt in (b"Username:", b"Password:"):
        talk.send(b"334 " + base64.b64encode(prompt) + b"\r\n")
        given.append(base64.b64decode(talk.line() or b"").decode())
    right = given == [CANARY.username, CANARY.password]
    talk.send(b"235 in\r\n" if right else b"535 5.7.8 out\r\n")
    talk.line()


@pytest.mark.parametrize(
    ("offered", "in_tls", "chosen"),
    [
        pytest.param([b"AUTH PLAIN LOGIN CRAM-MD5"], True, b"PLAIN", id="PLAIN in TLS"),
        pytest.param([b"AUTH LOGIN CRAM-MD5"], True, b"LOGIN", id="LOGIN in TLS, before CRAM-MD5"),
        pytest.param([b"AUTH CRAM-MD5"], True, b"CRAM-MD5", id="CRAM-MD5 in TLS, if alone"),
        pytest.param([b"AUTH PLAIN CRAM-MD5"], False, b"CRAM-MD5", id="CRAM-MD5 in clear"),
        pytest.param([b"AUTH PLAIN LOGIN"], False, b"PLAIN", id="PLAIN without TLS, if allowed"),
        pytest.param([b"AUTH=LOGIN"], True, b"LOGIN", id="the old spelling with an equals sign"),
        pytest.param([b"AUTH=LOGIN PLAIN"], True, b"PLAIN", id="the old spelling, two of them"),
        pytest.param([b"AUTH=LOGIN", b"AUTH PLAIN"], True, b"PLAIN", id="both spellings"),
        pytest.param([b"auth plain"], True, b"PLAIN", id="lower case"),
        pytest.param([b"AUTH PLAIN PLAIN", b"AUTH PLAIN"], True, b"PLAIN", id="the same twice"),
        pytest.param([b"AUTH", b"AUTH LOGIN"], True, b"LOGIN", id="an empty list beside another"),
        pytest.param([b"AUTH  GSSAPI   PLAIN "], True, b"PLAIN", id="more spaces than needed"),
    ],
)
def test_the_best_common_mechanism_is_used(
    check: Check,
    serve: Serve,
    authority: Authority,
    offered: list[bytes],
    in_tls: bool,
    chosen: bytes,
) -> None:
    def sign_in(talk: Talk) -> None:
        mechanism = talk.lines[-1].split()[1]
        if mechanism == b"CRAM-MD5":
            cram_md5(talk)
        elif mechanism == b"LOGIN":
            login(talk)
        else:
            given = base64.b64decode(talk.lines[-1].split()[2])
            right = given == f"\0{CANARY.username}\0{CANARY.password}".encode()
            talk.send(b"235 in\r\n" if right else b"535 5.7.8 out\r\n")
            talk.line()

    server = serve(
        answers={"EHLO": offering(*offered), "AUTH": sign_in},
        context=authority.context(),
        implicit=in_tls,
    )
    result = check(server.port, "tls" if in_tls else "none")
    assert result.outcome == "ok"
    assert [line.split()[1] for line in server.lines if line.startswith(b"AUTH")] == [chosen]
    assert f"Signed in with {chosen.decode()}" in result.detail


@pytest.mark.parametrize(
    ("offered", "reason"),
    [
        pytest.param([], "does not offer a sign-in (AUTH)", id="no AUTH at all"),
        pytest.param([b"AUTH"], "does not offer a sign-in (AUTH)", id="an empty list"),
        pytest.param([b"AUTH XOAUTH2 NTLM"], "none of the mechanisms", id="no common mechanism"),
        pytest.param([b"AUTH PLAIN-CLIENTTOKEN"], "none of the mechanisms", id="a longer name"),
        pytest.param([b"XAUTH PLAIN"], "does not offer a sign-in (AUTH)", id="another keyword"),
    ],
)
def test_no_common_mechanism_fails(
    check: Check, serve: Serve, offered: list[bytes], reason: str
) -> None:
    server = serve(answers={"EHLO": offering(*offered)})
    result = check(server.port)
    assert result.outcome == "auth-failed"
    assert reason in result.detail
    assert server.lines[-1] == b"QUIT"


def test_mechanisms_offered_before_tls_are_ignored(
    check: Check, serve: Serve, authority: Authority
) -> None:
    server = serve(
        answers={
            "EHLO": offering(b"STARTTLS", b"AUTH PLAIN"),
            "TLS-EHLO": offering(b"AUTH LOGIN"),
            "AUTH": login,
        },
        context=authority.context(),
    )
    assert check(server.port, "starttls").outcome == "ok"
    other = serve(
        answers={"EHLO": offering(b"STARTTLS", b"AUTH PLAIN"), "TLS-EHLO": offering()},
        context=authority.context(),
    )
    assert check(other.port, "starttls").outcome == "auth-failed"


@pytest.mark.parametrize("code", [421, 432, 454, 500, 503, 530, 534, 535, 538, 550])
def test_a_rejected_sign_in_is_not_repeated(check: Check, serve: Serve, code: int) -> None:
    server = serve(answers={"AUTH": f"{code} 5.7.8 no\r\n".encode()})
    result = check(server.port)
    assert result.outcome == "auth-failed"
    assert f"with PLAIN ({code}" in result.detail
    assert sum(line.startswith(b"AUTH") for line in server.lines) == 1


def test_the_next_mechanism_is_tried_after_504(check: Check, serve: Serve) -> None:
    def only_login(talk: Talk) -> None:
        talk.send(b"504 5.5.4 unknown\r\n")
        assert talk.line() == b"AUTH LOGIN"
        login(talk)

    server = serve(answers={"AUTH": only_login})
    result = check(server.port)
    assert result.outcome == "ok"
    assert "with LOGIN" in result.detail
    assert check(serve(answers={"AUTH": b"504 no\r\n"}).port).outcome == "auth-failed"


@pytest.mark.parametrize("challenge", ["334 ü\r\n".encode(), b"334 YQ\r\n", b"250 x\r\n"])
def test_an_invalid_challenge_is_a_protocol_error(
    check: Check, serve: Serve, challenge: bytes
) -> None:
    server = serve(answers={"EHLO": offering(b"AUTH CRAM-MD5"), "AUTH": challenge})
    result = check(server.port)
    assert result.outcome == "protocol-error"
    assert "not a valid answer to AUTH CRAM-MD5" in result.detail


def test_login_sends_the_password_only_when_asked(check: Check, serve: Serve) -> None:
    """A rejected username ends LOGIN: the password is not sent."""

    def refuse_username(talk: Talk) -> None:
        talk.send(b"334 VXNlcm5hbWU6\r\n")
        talk.line()
        talk.send(b"535 5.7.8 who?\r\n")
        talk.line()

    server = serve(answers={"EHLO": offering(b"AUTH LOGIN"), "AUTH": refuse_username})
    assert check(server.port).outcome == "auth-failed"
    assert base64.b64encode(CANARY.password.encode()) not in server.lines


def test_no_credential_is_sent_without_encryption_by_default(check: Check, serve: Serve) -> None:
    server = serve()
    result = check(server.port, "none", in_clear=False)
    assert result.outcome == "auth-failed"
    assert "without encryption" in result.detail
    assert not server.talks


def test_a_credential_is_not_sent_to_an_address(
    check: Check, serve: Serve, authority: Authority
) -> None:
    server = serve(context=authority.context("127.0.0.1"), implicit=True)
    assert check(server.port, "tls", host="127.0.0.1").outcome == "auth-failed"
    assert not server.talks


def test_a_missing_secret_fails(serve: Serve, hosts: Hosts) -> None:
    server = serve()
    profile = Profile(HOST, server.port, Encryption.NONE, secret="ses", allow_insecure_auth=True)
    (result,) = run_tests(
        [TestRequest(SHOP, "ses", profile)],
        policy=ConnectionPolicy(LOOPBACK),
        resolver=hosts(f"127.0.0.1 {HOST}"),
    )
    assert result.outcome == "secret-missing"
    assert not server.talks


@pytest.mark.parametrize(
    "credential",
    [
        pytest.param(Credential("üser", "päss wörd€"), id="characters outside ASCII"),
        pytest.param(Credential("u", "p" * 3000), id="a password of 3000 characters"),
        pytest.param(Credential("u", ""), id="an empty password"),
    ],
)
def test_any_text_can_be_a_password(check: Check, serve: Serve, credential: Credential) -> None:
    server = serve()
    assert check(server.port, credential=credential).outcome == "ok"
    given = base64.b64decode(server.lines[1].split()[2])
    assert given == f"\0{credential.username}\0{credential.password}".encode()


def test_a_password_that_is_not_unicode_is_not_shown(check: Check, serve: Serve) -> None:
    result = check(serve().port, credential=Credential("u", f"{CANARY.password}\udcff"))
    assert result.outcome == "auth-failed"
    assert "Unicode" in result.detail
