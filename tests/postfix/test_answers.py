"""`explain`, the lookup tables and a delivery give one answer for every form of a sender."""

import json
import random
import re
import subprocess
import sys

import idna
import pytest

from sendroute.cli.main import main
from sendroute.postfix.tables import TRANSPORT

from .programs import program, real_mail
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
        domain("many", "\u0390.test", through("two")),
        account("dark", plan="nano"),
        domain("dark", "dark.test", UNCONFIGURED),
    )
    switch = {"id": "all", "route": through("one"), "confirm": {"domains": 6}}
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
    "BÜCHER.test",
    "bu\u0308cher.test",
    "\u0390.test",
    "\u03b9\u0308\u0301.test",
    "la\u00adte.test",
    "late\u3002test",
    "ｌａｔｅ.test",
    "\u017fub.late.test",
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
    addresses += ["x%late.test", "late.test!x", "x%late.test@unknown.test", "late.test!x@dark.test"]
    addresses += ["x%late.test@[127.0.0.1]", "late.test!x@[127.0.0.1]"]
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
    assert sum(answer[1] is not None for answer in answers.values()) > len(addresses) // 3


def test_the_null_sender_is_explained_as_it_is_delivered(answering: Sending) -> None:
    transport = explained(answering, "<>")
    assert transport is not None
    assert delivered(answering, "", "a-null") == transport.partition(":")[2]


FOLDED = {"straße.test": "strasse.test", "σας.test": "σασ.test"}
"""What Postfix folds the name of one account's domain to: a domain of another account."""


@pytest.fixture(scope="module")
def folding(answering: Sending) -> Sending:
    answering.secret("folded", "mine", "second", "2-secret")
    answering.apply(
        account("folded"),
        profile("folded", "mine", "smtp.one.test", 465, "tls", "mine"),
        *(domain("folded", name, through("mine")) for name in FOLDED),
        *(domain("many", name, through("two")) for name in FOLDED.values()),
    )
    return answering


def ascii_form(name: str) -> str:
    return idna.encode(name).decode("ascii")


@pytest.mark.parametrize("name", FOLDED)
def test_postfix_looks_up_another_domain_than_it_was_given(folding: Sending, name: str) -> None:
    """Why that form of a domain must not be accepted."""
    table = TRANSPORT.map(str(folding.server.tables))
    answer = folding.server.program("postmap", "-q", f"a@{name}", table).strip()
    assert answer == folding.transport(FOLDED[name]) != folding.transport(ascii_form(name))


@pytest.mark.parametrize(
    "path",
    [
        "<a@straße.test> SMTPUTF8",
        "<a@straße.test>",
        "a@straße.test SMTPUTF8 AUTH=x@y",
        " < a@straße.test > SMTPUTF8",
        "<a@straße.test.> SMTPUTF8",
        '<a@"straße".test> SMTPUTF8',
        "<@b.test:a@straße.test> SMTPUTF8",
        "<a@STRAẞE.test> SMTPUTF8",
        "<a@sub.straße.test> SMTPUTF8",
        "<a@σας.test> SMTPUTF8",
        "<straße.test!a> SMTPUTF8",
        "<a%straße.test> SMTPUTF8",
    ],
)
@pytest.mark.parametrize("command", ["MAIL FROM:", "mail  from:", "MAIL\tFROM:", "MAIL FROM :"])
def test_a_domain_that_postfix_folds_to_another_is_refused(
    folding: Sending, command: str, path: str
) -> None:
    with folding.server.session() as session:
        session.ehlo()
        session.command_encoding = "utf-8"
        code, reply = session.docmd(f"{command}{path}")
        if code == 250:
            code, reply = session.rcpt("b@rcpt.test")
    assert code in (501, 554), reply
    assert b"ASCII form" in reply or code == 501, reply


@pytest.mark.parametrize("address", ["groß@late.test", '"a@straße.test"@late.test'])
def test_a_letter_in_the_local_part_is_no_domain(folding: Sending, address: str) -> None:
    transport = explained(folding, address)
    assert transport is not None
    assert delivered(folding, address, f"a-{address}") == transport.partition(":")[2]


@pytest.mark.parametrize("name", FOLDED)
def test_a_domain_that_is_refused_is_explained_so(folding: Sending, name: str) -> None:
    assert explained(folding, f"a@{name}") is None
    assert explained(folding, name) is not None, "the domain itself has a route"


@pytest.mark.parametrize("name", FOLDED)
def test_the_ascii_form_and_the_folded_domain_take_their_own_routes(
    folding: Sending, name: str
) -> None:
    routes = set()
    for number, form in enumerate((ascii_form(name), FOLDED[name])):
        transport = explained(folding, f"a@{form}")
        assert transport is not None
        sent = delivered(folding, f"a@{form}", f"a-{name}-{number}")
        assert sent == transport.partition(":")[2]
        routes.add(sent)
    assert len(routes) == 2


@pytest.mark.parametrize("name", FOLDED)
def test_mail_that_passes_no_restriction_waits(folding: Sending, name: str) -> None:
    server = folding.server
    sendmail = server.inside(str(program("sendmail")), "-f", f"a@{name}", "b@rcpt.test")
    subprocess.run(sendmail, env=server.environment, input=b"Subject: s\n\nx\n", check=True)
    server.wait(lambda: "deferred" in server.statuses(f"a@{name}"), "it does not wait")
    assert set(server.statuses(f"a@{name}")) == {"deferred"}
    assert "4.7.1" in server.last_attempt(f"a@{name}")
    server.discard(f"a@{name}")


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
