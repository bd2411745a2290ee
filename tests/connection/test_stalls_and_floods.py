"""A server that is slow, silent or endless costs at most the deadline, and no memory."""

import asyncio
import socket

import pytest

from sendroute.connection import replies
from sendroute.model.connection import ConnectionPolicy
from sendroute.model.platform import Platform

from .peers import Authority, Check, Serve, Talk, stall


def drip_lines(talk: Talk) -> None:
    talk.repeat(b"250-x\r\n", pause=0.05)


def endless_line(talk: Talk) -> None:
    talk.send(b"250 ")
    talk.repeat(b"x" * 1000)


def endless_reply(talk: Talk) -> None:
    talk.repeat(b"250-x\r\n" * 50)


def endless_long_lines(talk: Talk) -> None:
    talk.repeat(b"250-" + b"x" * 1000 + b"\r\n")


def endless_replies(talk: Talk) -> None:
    talk.repeat(b"250 AUTH PLAIN\r\n" * 50)


STEPS = {
    "GREETING": "none",
    "EHLO": "none",
    "AUTH": "none",
    "STARTTLS": "starttls",
    "TLS-EHLO": "starttls",
    "TLS": "tls",
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("slow", [stall, drip_lines], ids=["stalls", "drips"])
def test_a_slow_server_fails_at_the_deadline(
    check: Check, serve: Serve, authority: Authority, step: str, slow
) -> None:
    encryption = STEPS[step]
    context = authority.context() if encryption != "none" else None
    server = serve(answers={step: slow}, context=context, implicit=encryption == "tls")
    result = check(server.port, encryption, deadline=0.8)
    if slow is drip_lines and step == "TLS":
        assert result.outcome == "tls-failed"  # its first bytes are not TLS
        return
    assert result.outcome == "protocol-error"
    assert "within 0.8 seconds" in result.detail
    assert result.seconds >= 0.8


def test_a_greeting_may_take_as_long_as_the_deadline(check: Check, serve: Serve) -> None:
    """Servers delay it to see who does not wait."""

    def late(talk: Talk) -> None:
        talk.stopped.wait(1.5)
        talk.send(b"220 x\r\n")
        talk.line()
        talk.send(b"250-x\r\n250 AUTH PLAIN\r\n")
        talk.line()
        talk.send(b"235 in\r\n")
        talk.line()

    server = serve(answers={"GREETING": late})
    assert check(server.port, deadline=10).outcome == "ok"
    result = check(server.port, deadline=0.5)
    assert result.outcome == "protocol-error"
    assert result.detail == "The server did not finish the greeting within 0.5 seconds."
    assert "give tests more time" in str(result.advice)


def test_a_server_that_is_silent_may_wait_for_tls(check: Check, serve: Serve) -> None:
    """Both wait for the other to begin. Only the port could tell, and this one has no meaning."""
    server = serve(answers={"GREETING": stall})
    silent = check(server.port, "starttls", deadline=0.5)
    assert "encryption: tls" in str(silent.advice)
    assert "give tests more time" in str(silent.advice)
    server = serve(answers={"GREETING": drip_lines})
    assert "encryption" not in str(check(server.port, "starttls", deadline=0.5).advice)


def test_a_test_has_thirty_seconds_unless_the_platform_says_otherwise() -> None:
    assert ConnectionPolicy.of(None).timeout == 30
    assert ConnectionPolicy.of(Platform(None, ())).timeout == 30
    assert ConnectionPolicy.of(Platform(None, (), test_timeout=90)).timeout == 90


def test_a_line_in_single_bytes_fails_at_the_deadline(check: Check, serve: Serve) -> None:
    def drip(talk: Talk) -> None:
        talk.send(b"220-")
        talk.repeat(b"x", pause=0.05)

    result = check(serve(answers={"GREETING": drip}).port, deadline=0.5)
    assert result.outcome == "protocol-error"
    assert "within 0.5 seconds" in result.detail


def test_a_slow_tls_handshake_fails_at_the_deadline(
    check: Check, serve: Serve, authority: Authority
) -> None:
    def send_part_of_a_record(talk: Talk) -> None:
        talk.send(b"\x16\x03\x03\x40\x00")
        talk.repeat(b"\x02", pause=0.05)

    server = serve(
        answers={"TLS": send_part_of_a_record}, context=authority.context(), implicit=True
    )
    result = check(server.port, "tls", deadline=0.6)
    assert result.outcome == "protocol-error"
    assert "the TLS handshake within 0.6 seconds" in result.detail


@pytest.mark.parametrize(
    ("flood", "reasons"),
    [
        pytest.param(endless_line, ["a line of more than 2048"], id="a line without an end"),
        pytest.param(endless_reply, ["a reply of more than 128 lines"], id="lines without an end"),
        pytest.param(endless_long_lines, ["a reply of more than 16 KiB"], id="long lines"),
        # Which limit is reached first depends on the scheduler: lines or bytes.
        pytest.param(
            endless_replies,
            ["before a command", "more than 64 KiB"],
            id="replies without an end",
        ),
    ],
)
@pytest.mark.parametrize("step", ["EHLO", "AUTH", "TLS-EHLO"])
def test_a_flood_is_aborted(
    check: Check, serve: Serve, authority: Authority, step: str, flood, reasons: list[str]
) -> None:
    encryption = STEPS[step]
    context = authority.context() if encryption != "none" else None
    result = check(serve(answers={step: flood}, context=context).port, encryption)
    assert result.outcome == "protocol-error"
    assert any(words in result.detail for words in reasons), result.detail
    assert result.seconds < 5


def test_a_flood_after_starttls_is_a_tls_failure(
    check: Check, serve: Serve, authority: Authority
) -> None:
    server = serve(answers={"STARTTLS": endless_reply}, context=authority.context())
    assert check(server.port, "starttls").outcome == "tls-failed"


def test_all_replies_together_are_limited(check: Check, serve: Serve, authority: Authority) -> None:
    """Each reply is within the limits of one, and the last of them is one too many."""
    context = authority.context()
    most = b"-" + b"x" * 1900 + b"\r\n"

    def long(code: bytes, text: bytes) -> bytes:
        return (code + most) * 8 + code + b" " + text + b"\r\n"

    def start_tls(talk: Talk) -> None:
        talk.send(long(b"220", b"x"))
        talk.wrap(context)
        while (line := talk.line()) is not None:
            talk.send(long(b"535", b"x") if line.startswith(b"AUTH") else ehlo)

    ehlo = b"250-x\r\n250-STARTTLS\r\n250-AUTH PLAIN\r\n" + long(b"250", b"HELP")
    answers = {"GREETING": long(b"220", b"x"), "EHLO": ehlo, "STARTTLS": start_tls}
    result = check(serve(answers=answers, context=context).port, "starttls")
    assert result.outcome == "protocol-error"
    assert "more than 64 KiB, during AUTH" in result.detail


async def after_the_greeting(unasked: bytes) -> str | None:
    """The violation that bytes cause if no reply is expected.

    A server cannot send them reliably at that moment, so they are passed in directly.
    """
    listening = replies.Replies()
    server, client = socket.socketpair()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(lambda: listening, sock=client)
    listening.data_received(b"220 x\r\n")
    await listening.read_response()
    listening.data_received(unasked)
    assert transport.is_closing()
    await asyncio.sleep(0)
    server.close()
    return listening.violation


@pytest.mark.parametrize(
    ("unasked", "reason"),
    [(b"250 x\r\n", "before a command"), (b"421 x\r\n", "421"), (b"2", "before a command")],
)
def test_unrequested_data_between_commands_is_a_violation(unasked: bytes, reason: str) -> None:
    wrong = asyncio.run(after_the_greeting(unasked))
    assert wrong is not None
    assert reason in wrong


def test_an_unanswered_quit_costs_at_most_a_second(check: Check, serve: Serve) -> None:
    result = check(serve(answers={"QUIT": stall}).port)
    assert result.outcome == "ok"
    assert result.seconds < 3
    result = check(serve(answers={"QUIT": stall}).port, deadline=0.5)
    assert result.outcome == "ok"


def test_a_server_that_never_reads_fails(check: Check, serve: Serve) -> None:
    """The server sends its greeting and never reads."""

    def never_read(talk: Talk) -> None:
        talk.send(b"220 x\r\n")
        talk.stopped.wait(5)

    assert (
        check(serve(answers={"GREETING": never_read}).port, deadline=0.4).outcome
        == "protocol-error"
    )
