"""AUTH: which mechanism, how often, and what is never sent."""

import base64

import pytest

from sendroute.connection.run import run_tests
from sendroute.model.connection import ConnectionPolicy, TestRequest
from sendroute.model.credential import Credential
from sendroute.model.profile import Encryption, Profile

from .peers import CANARY, HOST, LOOPBACK, SHOP, Authority, Check, Hosts, Serve, Talk


def offering(*lines: bytes) -> bytes:
    return b"".join(b"250-" + line + b"\r\n" for line in (b"hello", *lines)) + b"250 HELP\r\n"


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
        pytest.param([b"AUTH CRAM-MD5 PLAIN"], False, b"PLAIN", id="PLAIN in clear"),
        pytest.param([b"AUTH SCRAM-SHA-256 NTLM LOGIN"], False, b"LOGIN", id="LOGIN in clear"),
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
        if mechanism == b"LOGIN":
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
        pytest.param(
            [b"AUTH CRAM-MD5 DIGEST-MD5"], "none of the mechanisms", id="mechanisms of Postfix only"
        ),
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
    assert not any(line.startswith(b"AUTH") for line in server.lines)


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


@pytest.mark.parametrize("code", [500, 503, 530, 534, 535, 538, 550])
def test_a_rejected_sign_in_is_not_repeated(check: Check, serve: Serve, code: int) -> None:
    server = serve(answers={"AUTH": f"{code} 5.7.8 no\r\n".encode()})
    result = check(server.port)
    assert result.outcome == "auth-failed"
    assert f"with PLAIN ({code}" in result.detail
    assert sum(line.startswith(b"AUTH") for line in server.lines) == 1


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("code", [421, 432, 450, 451, 454])
def test_a_temporary_failure_of_the_sign_in_does_not_blame_the_secret(
    check: Check, serve: Serve, hosts: Hosts, code: int, mechanism: str
) -> None:
    """And no other address is tried: the password was sent."""
    ehlo = offering(f"AUTH {mechanism}".encode())
    server = serve(answers={"EHLO": ehlo, "AUTH": f"{code} 4.7.0 later\r\n".encode()})
    second = serve(address="127.0.0.2", port=server.port)
    resolver = hosts(f"127.0.0.1 {HOST}", f"127.0.0.2 {HOST}")
    credential = Credential('"quoted"', "p ")
    result = check(server.port, credential=credential, resolver=resolver)
    assert result.outcome == "temporary-failure"
    assert f"({code} 4.7.0)" in result.detail
    assert "secret" not in f"{result.detail} {result.advice}"
    assert sum(line.startswith(b"AUTH") for line in server.lines) == 1
    assert not second.talks


def test_no_other_mechanism_is_tried_after_504(check: Check, serve: Serve) -> None:
    """As for Postfix, which defers the mail. The rule for usernames is no answer to it."""
    server = serve(answers={"AUTH": b"504 5.5.4 unknown\r\n"})
    result = check(server.port, provider="sendgrid", credential=Credential("u", '"quoted"'))
    assert result.outcome == "auth-failed"
    assert result.detail == "The server offers PLAIN, and then does not support it (504 5.5.4)."
    assert "first of PLAIN and LOGIN" in (result.advice or "")
    assert [line.split()[0] for line in server.lines] == [b"EHLO", b"AUTH", b"QUIT"]


@pytest.mark.parametrize(
    "challenge",
    [b"Username:", b"VXNlcm5hbWU6 ", b" VXNlcm5hbWU6", b"VXNlcm5hbWU", b"YQ=", b"Y===", b"VXN\0"],
)
def test_nothing_is_sent_after_a_challenge_that_is_not_base64(
    check: Check, serve: Serve, challenge: bytes
) -> None:
    ehlo = offering(b"AUTH LOGIN")
    server = serve(answers={"EHLO": ehlo, "AUTH": b"334 " + challenge + b"\r\n"})
    result = check(server.port)
    assert result.outcome == "protocol-error"
    assert result.detail == "The server's challenge to AUTH LOGIN is not base64 (334)."
    assert "Postfix ends the sign-in there" in (result.advice or "")
    assert server.lines[-1] == b"AUTH LOGIN"


def test_nothing_is_sent_after_a_challenge_that_plain_does_not_have(
    check: Check, serve: Serve
) -> None:
    server = serve(answers={"AUTH": b"334 go ahead\r\n"})
    result = check(server.port, credential=Credential("u", CANARY.password * 100))
    assert result.outcome == "protocol-error"
    assert result.detail == "The server's answer to AUTH PLAIN has a text (334)."
    assert server.lines[-1] == b"AUTH PLAIN"


UNREAD = "The server offers a sign-in (AUTH) in a form that Postfix does not read."


@pytest.mark.parametrize(
    ("ehlo", "detail"),
    [
        (b"250 AUTH PLAIN\r\n", UNREAD),
        (b"250-\r\n250-AUTH=LOGIN\r\n250\r\n", UNREAD),
        (b"250-x\r\n250 AUTH\tPLAIN\r\n", UNREAD),
        (b"250-x\r\n250 AUTH PLAIN\tLOGIN\r\n", UNREAD),
        (b"250-x\r\n250--AUTH PLAIN\r\n250 HELP\r\n", UNREAD),
        (b"250-x\r\n" + b"250-" + b"y" * 2040 + b"\r\n250 AUTH PLAIN\r\n", UNREAD),
        (b"250 auth.plain.example\r\n", "The server does not offer a sign-in (AUTH)."),
        (b"250 auth-login.example\r\n", "The server does not offer a sign-in (AUTH)."),
        (b"250-x\r\n250 NOAUTH PLAIN\r\n", "The server does not offer a sign-in (AUTH)."),
    ],
)
def test_an_offer_that_postfix_does_not_read_is_named(
    check: Check, serve: Serve, ehlo: bytes, detail: str
) -> None:
    server = serve(answers={"EHLO": ehlo})
    result = check(server.port)
    assert (result.outcome, result.detail) == ("auth-failed", detail)
    assert ("within 2048 characters" in (result.advice or "")) is (detail == UNREAD)
    assert [line.split()[0] for line in server.lines] == [b"EHLO", b"QUIT"]


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
    def accept(talk: Talk) -> None:
        if talk.lines[-1] == b"AUTH PLAIN":
            talk.send(b"334 \r\n")
            talk.line()
        talk.send(b"235 in\r\n")
        talk.line()

    server = serve(answers={"AUTH": accept})
    assert check(server.port, credential=credential).outcome == "ok"
    line = next(line for line in server.lines[1:] if line != b"AUTH PLAIN")
    given = base64.b64decode(line.removeprefix(b"AUTH PLAIN"))
    assert given == f"\0{credential.username}\0{credential.password}".encode()


@pytest.mark.parametrize("length", [1, 365, 366, 367, 368, 369, 370, 700, 9000])
def test_a_response_that_no_command_line_holds_is_sent_after_334(
    check: Check, serve: Serve, length: int
) -> None:
    """At most 512 octets with the line's end (RFC 4954, section 4)."""
    credential = Credential("u", "k" * length)

    def strict(talk: Talk) -> None:
        response = talk.lines[-1].removeprefix(b"AUTH PLAIN").strip()
        if len(talk.lines[-1]) + 2 > 512:
            talk.send(b"500 5.5.2 Line too long\r\n")
        elif response == b"":
            talk.send(b"334 \r\n")
            response = talk.line() or b""
        right = base64.b64decode(response) == b"\0u\0" + b"k" * length
        talk.send(b"235 in\r\n" if right else b"535 out\r\n")
        talk.line()

    server = serve(answers={"AUTH": strict})
    assert check(server.port, credential=credential).outcome == "ok"
    in_one_line = len(b"AUTH PLAIN " + base64.b64encode(b"\0u\0" + b"k" * length)) + 2 <= 512
    assert (b"AUTH PLAIN" in server.lines) is not in_one_line


def test_a_refusal_before_the_response_ends_the_sign_in(check: Check, serve: Serve) -> None:
    server = serve(answers={"AUTH": b"535 5.7.8 no\r\n"})
    result = check(server.port, credential=Credential("u", CANARY.password * 100))
    assert result.outcome == "auth-failed"
    assert [line for line in server.lines if line.startswith(b"AUTH")] == [b"AUTH PLAIN"]
    assert server.lines[-1] == b"QUIT"


UNRESOLVED = "its password is a reference to a store of secrets that nothing has resolved"
SEALED = base64.b64encode(b"\2\0" + bytes(range(256)) * 2 + b"w" * 20).decode()
FORMS = {
    "w ": "its password begins or ends with a space",
    "\u00a0w": "its password begins or ends with a space",
    "w\u200bw": "its password holds invisible characters",
    "w\ufeff": "its password holds invisible characters",
    '"w"': "its password is in quotes",
    "'w'": "its password is in quotes",
    "aHVudGVyMmh1bnRlcjI=": "its password is base64 as a whole",
    "dw==": "its password is base64 as a whole",
    "${SMTP_PASSWORD}": "its password is a placeholder that nothing has replaced",
    "vault:secret/data/ses#password": UNRESOLVED,
    "ref+awssecrets://ses/smtp#/password": UNRESOLVED,
    "op://vault/ses/password": UNRESOLVED,
    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:ses": UNRESOLVED,
    SEALED: "its password is a value of a SealedSecret that nothing has decrypted",
    '{"username": "u", "password": "w"}': "its password is a JSON document instead of one value"
    " of it",
    ' "w"': "its password begins or ends with a space and is in quotes",
}


@pytest.mark.parametrize("password", FORMS)
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_suspicious_form_is_named_after_a_rejection(
    check: Check, serve: Serve, password: str, mechanism: str
) -> None:
    ehlo = offering(f"AUTH {mechanism}".encode())
    server = serve(answers={"EHLO": ehlo, "AUTH": b"535 5.7.8 no\r\n"})
    result = check(server.port, credential=Credential("u", password))
    assert result.outcome == "auth-failed"
    assert result.detail.endswith(f"The secret may be written wrongly: {FORMS[password]}.")
    for part in (password, password.strip()):
        assert len(part) < 3 or part not in result.detail


@pytest.mark.parametrize(
    "password",
    [
        "w",
        "two words",
        "c29tZWJpbmFyeQ",
        "BMlhQ4KLMSrkJ9h3yeSHnVrHwBBAvQkXWRq/ZEXAMPLE",
        "SG.a_b-c",
        "vault:w",
        "{w}",
        base64.b64encode(b"\2\0" + b"w" * 300).decode()[:-1] + "=x",
    ],
)
def test_nothing_is_said_of_an_ordinary_password(check: Check, serve: Serve, password: str) -> None:
    server = serve(answers={"AUTH": b"535 5.7.8 no\r\n"})
    result = check(server.port, credential=Credential("a.user@shop.example", password))
    assert result.detail == "The server rejected the sign-in with PLAIN (535 5.7.8)."


def test_the_form_of_the_username_is_checked_too(check: Check, serve: Serve) -> None:
    server = serve(answers={"AUTH": b"535 5.7.8 no\r\n"})
    result = check(server.port, credential=Credential(" u", "w"))
    assert "its username begins or ends with a space" in result.detail


def test_after_a_rejection_the_rule_of_the_provider_is_given(check: Check, serve: Serve) -> None:
    server = serve(answers={"AUTH": b"535 5.7.8 no\r\n"})
    result = check(server.port, provider="sendgrid")
    assert "the word apikey" in (result.advice or "")


def test_a_password_that_is_not_unicode_is_not_shown(check: Check, serve: Serve) -> None:
    result = check(serve().port, credential=Credential("u", f"{CANARY.password}\udcff"))
    assert result.outcome == "auth-failed"
    assert "Unicode" in result.detail
