"""`explain`, the lookup tables and a delivery give one answer for every form of a sender."""

import json
import random
import re
import subprocess
import sys

import pytest

from sendroute.cli.main import main

from .programs import real_mail
from .sending import MANAGED, UNCONFIGURED, Sending, account, domain, profile, through

pytestmark = real_mail()

LOCAL_PARTS = (
    "jane",
    "Jane.Doe",
    "jane+tag",
    "bounce-42=rcpt.test",
    '"a b"',
    '"a@b"',
    '"declared.test@x"',
    "x'y",
    "%d",
    "o'or'1'='1",
)


@pytest.fixture(scope="module")
def answering(sending: Sending) -> Sending:
    """Domains of every kind."""
    sending.secret("many", "one", "first", "1-secret")
    sending.secret("many", "two", "first", "3-secret")
    before = account("many", defaultRoute=through("one"))
    leaving = profile("many", "leaving", "smtp.one.test", 465, "tls", "one")
    reassigned = domain("many", "reassigned.test", through("leaving"))
    sending.apply(
        before,
        profile("many", "one", "smtp.one.test", 587, "starttls", "one"),
        profile("many", "two", "smtp.two.test", 465, "tls", "two"),
        leaving,
        domain("many", "declared.test", through("two")),
        domain("many", "default.test"),
        domain("many", "managed.test", MANAGED),
        reassigned,
        domain("many", "bücher.test", through("two")),
        account("dark", plan="nano"),
        domain("dark", "dark.test", UNCONFIGURED),
    )
    switch = {"id": "all", "route": through("one"), "confirm": {"domains": 5}}
    sending.documents.remove(leaving)
    sending.documents.remove(reassigned)
    sending.documents.append(domain("many", "reassigned.test"))
    sending.replace(before, {**before, "spec": {**before["spec"], "applyToAll": switch}})
    sending.apply(domain("many", "late.test", through("two")), settled=True)
    return sending


DOMAINS = (
    "declared.test",
    "default.test",
    "managed.test",
    "reassigned.test",
    "late.test",
    "dark.test",
    "unknown.test",
    "sub.late.test",
    "test",
    "LATE.Test",
    "late.test.",
    "bücher.test",
    "xn--bcher-kva.test",
    "[192.0.2.1]",
    "[IPv6:2001:db8::1]",
)


def explained(sending: Sending, address: str) -> str | None:
    """The transport that the command names; None if mail is refused."""
    out = sending.home / "explained.json"
    words = ("explain", "-q", "-o", f"json={out}", "--store", sending.store, address)
    assert main(list(words)) == 0
    transport: str | None = json.loads(out.read_text())["transport"]
    return transport


def delivered(sending: Sending, address: str, subject: str) -> str | None:
    """The alias and port that Postfix logged for a message; None if it was refused."""
    server = sending.server
    with server.session() as session:
        session.ehlo()
        options = [] if address.isascii() else ["SMTPUTF8"]
        session.command_encoding = "utf-8"
        code, reply = session.mail(f"<{address}>", options)
        if code == 250:
            code, reply = session.rcpt("b@rcpt.test")
        if code != 250:
            text = reply.decode()
            assert text.startswith(("5.7.1", "5.1.7", "5.1.8", "5.5.4")), text
            return None
        code, reply = session.data(f"Subject: {subject}\r\n\r\nhello\r\n".encode())
        assert code == 250
        queue_id = reply.decode().rpartition(" ")[2]
    sent = re.compile(rf"{queue_id}: to=.*relay=(\w+)\[[^]]*\]:(\d+), .*status=sent")
    server.wait(lambda: sent.search(server.log) is not None, f"{address} was not sent")
    match = sent.search(server.log)
    assert match is not None
    return f"[{match[1]}]:{match[2]}"


def test_every_form_of_a_sender_is_explained_as_it_is_delivered(answering: Sending) -> None:
    chosen = random.Random(7)
    addresses = [f"{chosen.choice(LOCAL_PARTS)}@{name}" for name in DOMAINS for _ in range(2)]
    addresses += [f"{local}@late.test" for local in LOCAL_PARTS]
    answers = {
        address: (explained(answering, address), delivered(answering, address, f"a-{number}"))
        for number, address in enumerate(addresses)
    }
    wrong = {
        address: answer
        for address, answer in answers.items()
        if (answer[0] or "").partition(":")[2] != (answer[1] or "")
    }
    assert wrong == {}
    assert sum(answer[1] is not None for answer in answers.values()) > len(addresses) // 2


def test_the_null_sender_is_explained_as_it_is_delivered(answering: Sending) -> None:
    transport = explained(answering, "<>")
    assert transport is not None
    assert delivered(answering, "", "a-null") == transport.partition(":")[2]


def check(sending: Sending, *, status: int) -> str:
    server = sending.server
    command = ("postfix", "check", "--dir", str(server.tables), "--store", sending.store)
    done = subprocess.run(
        server.inside(
            *(sys.executable, "-m", "sendroute", *command),
            *("--postfix-config-dir", str(server.config)),
        ),
        env=server.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def test_a_postfix_that_agrees_passes_the_check(answering: Sending) -> None:
    assert "route-differs" not in check(answering, status=0)


def test_a_row_that_differs_and_a_row_too_many_are_named(answering: Sending) -> None:
    """The agent is stopped, so that it does not repair its tables."""
    answering.server.stop_agent()
    try:
        with answering.writable_tables() as tables:
            tables.execute("UPDATE transport SET value = 'smtp:' WHERE key = 'late.test'")
            tables.execute("DELETE FROM access WHERE key = 'managed.test'")
            tables.execute("INSERT INTO access VALUES ('surplus.test', 'OK')")
        text = check(answering, status=1)
    finally:
        with answering.writable_tables() as tables:
            tables.execute("DELETE FROM served")
        answering.server.start_agent(answering.store)
    for name in ("late.test", "managed.test", "surplus.test"):
        assert f"{name} has" in text
    answering.server.wait(lambda: answering.transport("late.test") != "smtp:", "not repaired")
