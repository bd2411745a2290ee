"""No result, log, exception, exception context or surviving frame contains a secret."""

import base64
import logging
import traceback

import pytest

from sendroute.connection.run import run_tests
from sendroute.model.connection import ConnectionPolicy, TestRequest
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
    Talk,
    assert_contains_no_secret,
    hang_up,
    stall,
)


def echo(talk: Talk) -> None:
    """Reject, and repeat everything received, also decoded."""
    while talk.lines[-1] == b"AUTH LOGIN":
        talk.send(b"334 QUFB\r\n")
        talk.line()
    given = talk.lines[-1]
    decoded = base64.b64decode(given.split()[-1]).replace(b"\0", b" ")
    talk.send(b"535-5.7.8 " + given + b"\r\n535 5.7.8 " + decoded + b"\r\n")
    talk.line()


def echo_as_garbage(talk: Talk) -> None:
    talk.send(talk.lines[-1] + b"\r\n")


ENDINGS = {
    "welcome": b"235 2.7.0 in\r\n",
    "an echo in the refusal": echo,
    "an echo that is not a reply": echo_as_garbage,
    "refused": b"535 5.7.8 out\r\n",
    "421": b"421 4.7.0 away\r\n",
    "closed": hang_up,
    "stalled": stall,
    "garbage": b"\xff\xfe\r\n",
    "asks on": b"334 " + base64.b64encode(CANARY.password.encode()) + b"\r\n",
}


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_is_logged(
    check: Check,
    serve: Serve,
    authority: Authority,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    ending: str,
    mechanism: str,
) -> None:
    """With every logger at DEBUG and asyncio in debug mode."""
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    caplog.set_level(logging.DEBUG)
    ehlo = f"250-x\r\n250 AUTH {mechanism}\r\n".encode()
    server = serve(
        answers={"EHLO": ehlo, "AUTH": ENDINGS[ending]}, context=authority.context(), implicit=True
    )
    check(server.port, "tls", deadline=1.0 if ending == "stalled" else 10.0)
    assert any(record.name == "asyncio" for record in caplog.records)  # debug mode is active
    assert_contains_no_secret(caplog.text)
    assert_contains_no_secret("".join(capfd.readouterr()))


def test_a_request_hides_its_credential() -> None:
    request = TestRequest(SHOP, "ses", Profile(HOST, 587, Encryption.TLS), CANARY)
    assert_contains_no_secret(repr(request))


def test_an_error_of_the_caller_contains_no_secret(serve: Serve, hosts: Hosts) -> None:
    """Raised by ``progress`` while other tests are in AUTH: its whole chain is searched."""

    def fail(_result: object) -> None:
        raise LookupError("the caller's")

    slow, quick = serve(answers={"AUTH": stall}), serve()

    def request(port: int, host: str) -> TestRequest:
        profile = Profile(host, port, Encryption.NONE, allow_insecure_auth=True)
        return TestRequest(SHOP, "p", profile, CANARY)

    with pytest.raises(ExceptionGroup) as raised:
        run_tests(
            [request(slow.port, "slow.test"), request(quick.port, "quick.test")],
            policy=ConnectionPolicy(LOOPBACK),
            resolver=hosts("127.0.0.1 slow.test quick.test"),
            progress=fail,
        )
    assert_contains_no_secret("".join(traceback.format_exception(raised.value)))


def test_an_interrupt_refers_to_no_frame_of_the_run(serve: Serve, hosts: Hosts) -> None:
    """Error reporters show the local variables of all frames in a chain."""
    server = serve()
    profile = Profile(HOST, server.port, Encryption.NONE, allow_insecure_auth=True)

    def interrupt(_result: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as raised:
        run_tests(
            [TestRequest(SHOP, "p", profile, CANARY)],
            policy=ConnectionPolicy(LOOPBACK),
            resolver=hosts(f"127.0.0.1 {HOST}"),
            progress=interrupt,
        )
    error: BaseException = raised.value
    assert error.__context__ is None
    assert error.__cause__ is None
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert_contains_no_secret("".join(shown.format()))
