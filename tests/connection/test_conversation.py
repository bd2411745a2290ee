"""The session with a server that behaves, and with servers that do not."""

import socket
import threading
from collections.abc import Iterator
from typing import NoReturn

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from sendroute.connection import own_name, run
from sendroute.model.connection import ConnectionPolicy, TestRequest
from sendroute.model.platform import Managed, Platform, Relay
from sendroute.model.profile import Encryption, Profile

from .peers import (
    CANARY,
    HOST,
    LOOPBACK,
    SHOP,
    Authority,
    Check,
    Hosts,
    Serve,
    Server,
    Talk,
    hang_up,
)

BUSY = b"421 4.3.2 too busy\r\n"


def verbs(server: Server) -> list[str]:
    return [line.split()[0].decode() for line in server.lines if line]


def test_signs_in_with_implicit_tls(check: Check, serve: Serve, authority: Authority) -> None:
    server = serve(context=authority.context(), implicit=True)
    result = check(server.port, "tls")
    assert result.outcome == "ok"
    assert result.detail.startswith("Signed in with PLAIN over TLS 1.3")
    assert verbs(server) == ["EHLO", "AUTH", "QUIT"]


def test_signs_in_after_starttls_and_a_second_ehlo(
    check: Check, serve: Serve, authority: Authority
) -> None:
    server = serve(context=authority.context())
    assert check(server.port, "starttls").outcome == "ok"
    assert verbs(server) == ["EHLO", "STARTTLS", "EHLO", "AUTH", "QUIT"]


def test_any_positive_reply_to_starttls_starts_tls(
    check: Check, serve: Serve, authority: Authority
) -> None:
    """As for Postfix: the first digit decides (RFC 5321, section 4.3.2)."""
    context = authority.context()

    def agree(talk: Talk) -> None:
        talk.send(b"250-go\r\n250 ahead\r\n")
        talk.wrap(context)
        while (line := talk.line()) is not None:
            talk.send(b"235 in\r\n" if line.startswith(b"AUTH") else b"250-x\r\n250 AUTH PLAIN\r\n")

    server = serve(context=context, answers={"STARTTLS": agree})
    assert check(server.port, "starttls").outcome == "ok"


def test_without_credentials_the_session_ends_after_ehlo(check: Check, serve: Serve) -> None:
    server = serve()
    result = check(server.port, credential=None)
    assert (result.outcome, result.namespace, result.profile) == ("ok", "acme", "ses")
    assert verbs(server) == ["EHLO", "QUIT"]
    assert "without encryption" in result.detail


def test_ehlo_has_the_name_of_the_client(check: Check, serve: Serve) -> None:
    server = serve()
    check(server.port, credential=None)
    assert server.lines[0] == b"EHLO client.example.test"


def test_a_server_that_refuses_address_literals_is_satisfied(check: Check, serve: Serve) -> None:
    def strict(talk: Talk) -> None:
        if b"[" in talk.lines[-1]:
            talk.send(b"421 4.7.0 Try again later, closing connection. (EHLO)\r\n")
            return
        talk.send(b"250-x\r\n250 AUTH PLAIN\r\n")
        talk.line()
        talk.send(b"235 in\r\n")
        talk.line()

    assert check(serve(answers={"EHLO": strict}).port).outcome == "ok"


def test_ehlo_has_the_address_only_if_there_is_no_name(
    check: Check, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "own_name", lambda: None)
    server = serve()
    check(server.port, credential=None, name=None)
    assert server.lines[0] == b"EHLO [127.0.0.1]"
    six = serve(address="::1")
    assert check(six.port, host="::1", credential=None, name=None).outcome == "ok"
    assert six.lines[0] == b"EHLO [IPv6:::1]"


@pytest.mark.parametrize(
    ("declared", "hostname", "managed", "expected"),
    [
        ("mail.example", "host.example", "smtp.example", b"EHLO mail.example"),
        (None, "host.example", "smtp.example", b"EHLO host.example"),
        (None, None, "smtp.example", b"EHLO smtp.example"),
    ],
    ids=["the platform's heloName", "the machine's name", "the host of managed sending"],
)
def test_the_name_for_ehlo_is_the_first_that_is_there(
    serve: Serve,
    hosts: Hosts,
    monkeypatch: pytest.MonkeyPatch,
    declared: str | None,
    hostname: str | None,
    managed: str,
    expected: bytes,
) -> None:
    monkeypatch.setattr(run, "own_name", lambda: hostname)
    relay = Relay("relay.example", 25, Encryption.NONE)
    platform = Platform(
        Managed(None, managed, (), relay), (), LOOPBACK, helo_name=declared, test_timeout=5
    )
    server = serve()
    run.run_tests(
        [TestRequest(SHOP, "p", Profile(HOST, server.port, Encryption.NONE))],
        policy=ConnectionPolicy.of(platform),
        resolver=hosts(f"127.0.0.1 {HOST}"),
    )
    assert server.lines[0] == expected


@pytest.mark.parametrize(
    ("hostname", "canonical", "expected"),
    [
        ("Mail.Example.com", "", "mail.example.com"),
        ("mail", "mail.example.com", "mail.example.com"),
        ("3f1c9d2e7ab4", "3f1c9d2e7ab4", None),
        ("localhost", "localhost.localdomain", None),
        ("10.0.0.1", "10.0.0.1", None),
        ("bad_name.example.com", "bad_name.example.com", None),
    ],
)
def test_the_machines_name_counts_only_if_it_is_fully_qualified(
    monkeypatch: pytest.MonkeyPatch, hostname: str, canonical: str, expected: str | None
) -> None:
    address = (socket.AF_INET, socket.SOCK_STREAM, 6, canonical, ("192.0.2.1", 0))
    monkeypatch.setattr(socket, "gethostname", lambda: hostname)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [address])
    assert own_name.own_name() == expected


def test_a_lookup_of_the_machines_name_that_hangs_is_left_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    released = threading.Event()

    def hang(*_: object, **__: object) -> NoReturn:
        released.wait(30)
        raise OSError

    monkeypatch.setattr(socket, "gethostname", lambda: "mail")
    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(own_name, "LOOKUP_TIMEOUT", 0.1)
    assert own_name.own_name() is None
    released.set()


def test_helo_follows_a_refused_ehlo_if_nothing_else_is_needed(check: Check, serve: Serve) -> None:
    answers = {"EHLO": b"502 5.5.2 what?\r\n", "HELO": b"250 hello\r\n"}
    server = serve(answers=answers)
    assert check(server.port, credential=None).outcome == "ok"
    assert verbs(server) == ["EHLO", "HELO", "QUIT"]
    assert server.lines[1] == b"HELO client.example.test"
    refused = check(serve(answers=answers | {"HELO": b"550 no\r\n"}).port, credential=None)
    assert (refused.outcome, "HELO (550)" in refused.detail) == ("protocol-error", True)


def test_helo_follows_a_temporary_refusal_of_ehlo_too(check: Check, serve: Serve) -> None:
    """As Postfix does; only 421 ends the session."""
    answers = {"EHLO": b"450 later\r\n", "HELO": b"250 hello\r\n"}
    assert check(serve(answers=answers).port, credential=None).outcome == "ok"
    result = check(serve(answers=answers | {"EHLO": BUSY}).port, credential=None)
    assert result.outcome == "temporary-failure"


@pytest.mark.parametrize("needs", ["a sign-in", "STARTTLS"])
def test_helo_is_not_enough_for_what_needs_an_extension(
    check: Check, serve: Serve, authority: Authority, needs: str
) -> None:
    answers = {"EHLO": b"502 5.5.2 what?\r\n", "HELO": b"250 hello\r\n"}
    server = serve(answers=answers, context=authority.context())
    encryption = "starttls" if needs == "STARTTLS" else "none"
    result = check(server.port, encryption)
    assert (result.outcome, "EHLO (502" in result.detail) == ("protocol-error", True)
    assert verbs(server) == ["EHLO"]


class OnAnyPort(Controller):
    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture
def aiosmtpd(authority: Authority) -> Iterator[Controller]:
    """Another server implementation, which accepts one username and password."""

    def authenticate(_server: SMTP, _session: object, _envelope: object, _mechanism: str, data):
        assert isinstance(data, LoginPassword)
        right = (CANARY.username.encode(), CANARY.password.encode())
        return AuthResult(success=(data.login, data.password) == right, handled=False)

    controller = OnAnyPort(
        Sink(),
        hostname="127.0.0.1",
        port=0,
        authenticator=authenticate,
        auth_required=True,
        tls_context=authority.context(),
        require_starttls=True,
    )
    controller.start()
    yield controller
    controller.stop()


def test_another_server_implementation(check: Check, aiosmtpd: Controller) -> None:
    port = aiosmtpd.port
    assert check(port, "starttls").outcome == "ok"
    wrong = type(CANARY)(CANARY.username, "wrong")
    result = check(port, "starttls", credential=wrong)
    assert result.outcome == "auth-failed"
    assert "(535 5.7.8)" in result.detail


def test_a_refused_connection_fails(check: Check) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    result = check(port)
    assert result.outcome == "connect-failed"
    assert result.detail == f"The host refused the connection on port {port}."


def test_the_next_address_is_tried(check: Check, serve: Serve, hosts: Hosts) -> None:
    server = serve()
    resolver = hosts(f"127.0.0.9 {HOST}", f"127.0.0.1 {HOST}")
    assert check(server.port, resolver=resolver).outcome == "ok"


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param({"GREETING": BUSY}, id="421 as greeting"),
        pytest.param({"GREETING": b"450 4.3.2 later\r\n"}, id="another 4xx as greeting"),
        pytest.param({"GREETING": hang_up}, id="closed before the greeting"),
        pytest.param({"EHLO": BUSY}, id="421 to EHLO"),
        pytest.param({"EHLO": hang_up}, id="closed at EHLO"),
    ],
)
@pytest.mark.parametrize("encryption", ["none", "starttls"])
def test_the_next_address_is_tried_if_a_server_cannot_serve_now(
    check: Check, serve: Serve, hosts: Hosts, authority: Authority, answers, encryption: str
) -> None:
    context = authority.context() if encryption == "starttls" else None
    first = serve(answers=answers, context=context)
    second = serve(address="127.0.0.2", port=first.port, context=context)
    resolver = hosts(f"127.0.0.1 {HOST}", f"127.0.0.2 {HOST}")
    assert check(first.port, encryption, resolver=resolver).outcome == "ok"
    assert len(first.talks) == 1
    assert any(line.startswith(b"AUTH") for line in second.lines)


def test_a_server_that_closes_in_the_handshake_leaves_the_next_address(
    check: Check, serve: Serve, hosts: Hosts, authority: Authority
) -> None:
    first = serve(answers={"TLS": hang_up}, implicit=True)
    second = serve(address="127.0.0.2", port=first.port, context=authority.context(), implicit=True)
    resolver = hosts(f"127.0.0.1 {HOST}", f"127.0.0.2 {HOST}")
    assert check(first.port, "tls", resolver=resolver).outcome == "ok"
    assert second.talks


def test_every_address_is_tried_in_order(check: Check, serve: Serve, hosts: Hosts) -> None:
    busy = [serve(answers={"GREETING": BUSY})]
    busy += [
        serve(address=f"127.0.0.{n}", port=busy[0].port, answers={"GREETING": BUSY})
        for n in range(2, 10)
    ]
    last = serve(address="127.0.0.10", port=busy[0].port)
    resolver = hosts(*(f"127.0.0.{n} {HOST}" for n in range(1, 11)))
    assert check(last.port, resolver=resolver).outcome == "ok"
    assert [len(server.talks) for server in busy] == [1] * 9


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param({"AUTH": b"535 5.7.8 no\r\n"}, id="a rejected sign-in"),
        pytest.param({"AUTH": b"421 4.7.0 later\r\n"}, id="421 to the sign-in"),
        pytest.param({"AUTH": hang_up}, id="closed at the sign-in"),
        pytest.param({"GREETING": b"554 5.7.1 no\r\n"}, id="a final refusal"),
    ],
)
def test_no_other_address_is_tried_after_the_sign_in_or_a_final_refusal(
    check: Check, serve: Serve, hosts: Hosts, answers
) -> None:
    first = serve(answers=answers)
    second = serve(address="127.0.0.2", port=first.port)
    resolver = hosts(f"127.0.0.1 {HOST}", f"127.0.0.2 {HOST}")
    assert check(first.port, resolver=resolver).outcome != "ok"
    assert not second.talks


def test_if_no_address_serves_the_last_reason_is_reported(
    check: Check, serve: Serve, hosts: Hosts
) -> None:
    first = serve(answers={"GREETING": BUSY})
    resolver = hosts(f"127.0.0.1 {HOST}", f"127.0.0.9 {HOST}")
    result = check(first.port, resolver=resolver)
    assert (result.outcome, "(421 4.3.2)" in result.detail) == ("temporary-failure", True)


def test_a_silent_host_fails(check: Check, silent_port: int) -> None:
    result = check(silent_port, deadline=0.6)
    assert result.outcome == "connect-failed"
    assert "did not answer" in result.detail


def test_a_silent_address_leaves_time_for_the_next(
    check: Check, serve: Serve, hosts: Hosts, silent_port: int
) -> None:
    server = serve(address="127.0.0.2", port=silent_port)
    resolver = hosts(f"127.0.0.1 {HOST}", f"127.0.0.2 {HOST}")
    assert check(server.port, resolver=resolver, deadline=2).outcome == "ok"


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port whose connection queue is full: SYN packets get no answer."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        waiting = []
        while True:
            client = socket.socket()
            client.settimeout(0.2)
            waiting.append(client)
            try:
                client.connect(address)
            except TimeoutError:
                break
        yield address[1]
        for client in waiting:
            client.close()


REFUSALS = [
    pytest.param({"GREETING": b"554 5.7.1 no\r\n"}, "(554 5.7.1)", id="a greeting that refuses"),
    pytest.param({"GREETING": b"354 hello\r\n"}, "(354)", id="a greeting with a wrong code"),
    pytest.param({"EHLO": b"354 hello\r\n"}, "EHLO (354)", id="a wrong code to EHLO"),
    pytest.param({"EHLO": b"502 5.5.2 what?\r\n"}, "EHLO (502 5.5.2)", id="EHLO refused"),
    pytest.param({"GREETING": hang_up}, "closed the connection", id="closed before the greeting"),
    pytest.param({"EHLO": hang_up}, "closed the connection during EHLO", id="closed at EHLO"),
    pytest.param({"AUTH": hang_up}, "closed the connection during AUTH", id="closed at AUTH"),
    pytest.param({"GREETING": b"SSH-2.0-x\r\n"}, "not an SMTP reply", id="another protocol"),
    pytest.param({"GREETING": b"HTTP/1.1 400 Bad\r\n\r\n"}, "not an SMTP reply", id="a web server"),
    pytest.param({"GREETING": b"+OK pop3\r\n"}, "not an SMTP reply", id="a POP server"),
    pytest.param({"GREETING": b"+22 x\r\n"}, "not an SMTP reply", id="a code with a sign"),
    pytest.param({"GREETING": b"22\r\n"}, "not an SMTP reply", id="a code of two digits"),
    pytest.param({"GREETING": b"2200 x\r\n"}, "not an SMTP reply", id="a code of four digits"),
    pytest.param({"GREETING": b"120 x\r\n"}, "not an SMTP reply", id="a code below 200"),
    pytest.param(
        {"GREETING": "٢٢٠ x\r\n".encode()}, "not an SMTP reply", id="a code in other digits"
    ),
    pytest.param({"EHLO": b"250-a\r\nb\r\n"}, "not an SMTP reply", id="a line without a code"),
    pytest.param({"GREETING": b"220 x\r\n250 y\r\n"}, "before a command", id="talks ahead"),
    pytest.param(
        {"AUTH": b"334 \r\n"},
        "not a valid answer to AUTH PLAIN (334)",
        id="another challenge after PLAIN",
    ),
]


@pytest.mark.parametrize(("answers", "reason"), REFUSALS)
def test_invalid_smtp_is_a_protocol_error(
    check: Check, serve: Serve, answers: dict[str, bytes], reason: str
) -> None:
    result = check(serve(answers=answers).port)
    assert result.outcome == "protocol-error"
    assert reason in result.detail


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        pytest.param({"GREETING": BUSY}, "session now (421 4.3.2)", id="421 as greeting"),
        pytest.param({"GREETING": b"450 x\r\n"}, "session now (450)", id="450 as greeting"),
        pytest.param({"EHLO": BUSY}, "refuses EHLO now (421 4.3.2)", id="421 to EHLO"),
        pytest.param({"EHLO": b"450 x\r\n"}, "refuses EHLO now (450)", id="450 to EHLO"),
        pytest.param({"EHLO": b"250 x\r\n421 bye\r\n"}, "the session (421)", id="421 unasked"),
    ],
)
@pytest.mark.parametrize("credential", [CANARY, None], ids=["with a secret", "without"])
def test_a_4xx_reply_is_a_temporary_failure(
    check: Check, serve: Serve, answers: dict[str, bytes], reason: str, credential
) -> None:
    later = {"HELO": answers.get("EHLO", b"250 x\r\n")}
    result = check(serve(answers=later | answers).port, credential=credential)
    assert result.outcome == "temporary-failure"
    assert reason.replace("EHLO", "HELO") in result.detail.replace("EHLO", "HELO")


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param({"GREETING": b"220-a\r\n220-\r\n220\r\n"}, id="a greeting of many lines"),
        pytest.param({"GREETING": b"220 a\n"}, id="a line without a carriage return"),
        pytest.param({"EHLO": b"250-x\r\n250-\r\n250-AUTH PLAIN\r\n250\r\n"}, id="empty lines"),
        pytest.param({"EHLO": b"250-\x1b]0;x\x07\xff\r\n250 AUTH PLAIN\r\n"}, id="control codes"),
        pytest.param({"GREETING": b"250 hello\r\n"}, id="250 as greeting"),
        pytest.param({"EHLO": b"252-x\r\n252 AUTH PLAIN\r\n"}, id="252 to EHLO"),
        pytest.param({"EHLO": b"220-x\r\n250 AUTH PLAIN\r\n"}, id="two different codes"),
        pytest.param({"AUTH": b"250 in\r\n"}, id="250 to AUTH"),
        pytest.param({"QUIT": hang_up}, id="a server that closes at QUIT"),
        pytest.param({"QUIT": b"500 what?\r\n"}, id="a server that does not know QUIT"),
    ],
)  # fmt: skip
def test_unusual_but_valid_replies_are_accepted(
    check: Check, serve: Serve, answers: dict[str, bytes]
) -> None:
    assert check(serve(answers=answers).port).outcome == "ok"


def test_a_reply_in_several_segments_is_read_whole(check: Check, serve: Serve) -> None:
    def in_pieces(talk: Talk) -> None:
        talk.connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"250-x\r\n250-AUTH PLAIN\r\n250 HELP\r\n":
            talk.send(bytes([byte]))
        talk.line()
        talk.send(b"235 in\r\n")

    assert check(serve(answers={"EHLO": in_pieces}).port).outcome == "ok"


def test_the_servers_text_is_never_shown(check: Check, serve: Serve) -> None:
    hostile = "\x1b[31mBUY\x07 NOW\u202e https://evil.example".encode()
    for verb, code in (
        ("GREETING", b"554 "),
        ("GREETING", b""),
        ("EHLO", b"550 "),
        ("AUTH", b"535 "),
    ):
        for enhanced in (b"5.7.8 ", b""):
            answers = {verb: code + enhanced + hostile + b"\r\n"}
            detail = check(serve(answers=answers).port).detail
            assert detail.isprintable()
            assert detail.isascii()
            assert "BUY" not in detail
            assert "evil" not in detail


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"535 5.7.8 no", "(535 5.7.8)"),
        (b"535 5.7.8", "(535 5.7.8)"),
        (b"535 5.7.8x", "(535)"),
        (b"535 4.7.8 no", "(535)"),
        (b"535 5.1234.8 no", "(535)"),
        (b"535 5.123.456 no", "(535)"),  # a password of six digits
        (b"535-5.7.8 no\r\n535 5.7.8 really", "(535 5.7.8)"),
        ("535 5.٧.8 no".encode(), "(535)"),
    ],
)
def test_only_a_valid_enhanced_status_code_is_shown(
    check: Check, serve: Serve, text: bytes, shown: str
) -> None:
    result = check(serve(answers={"AUTH": text + b"\r\n"}).port)
    assert result.outcome == "auth-failed"
    assert shown in result.detail
