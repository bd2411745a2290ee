"""One message in a log of Postfix. Its lines hold what strangers write."""

import time
from datetime import datetime

import pytest

from sendroute.model.nexthop import Alias
from sendroute.postfix.mail_log import Delivery, LoggedMessage, find_message, moment_of

ID = "158FA986244"
AT = "Nov 28 15:00:42"
SUSPENDED = "delivery temporarily suspended: "


def line(event: str, program: str = "smtp", queue_id: str = ID, time: str = AT) -> str:
    return f"{time} mx postfix/{program}[130]: {queue_id}: {event}\n"


def delivery(
    relay: str = "p42r7[203.0.113.9]:587",
    to: str = "r@x.test",
    status: str = "sent",
    answer: str = "250 2.0.0 Ok: queued",
) -> str:
    dsn = {"sent": "2.0.0", "deferred": "4.4.1", "bounced": "5.1.1"}[status]
    return line(
        f"to=<{to}>, relay={relay}, delay=0.03, delays=0.01/0.01/0/0.01, dsn={dsn},"
        f" status={status} ({answer})"
    )


def read(*lines: str) -> LoggedMessage:
    message = find_message(lines, ID)
    assert message is not None
    return message


def only(*lines: str) -> Delivery:
    [delivered] = read(*lines).deliveries
    return delivered


def test_a_delivered_message_is_read_whole() -> None:
    message = read(
        line(
            "client=app[192.0.2.7], sasl_method=PLAIN, sasl_username=acme-app", "submission/smtpd"
        ),
        line("message-id=<1@x.test>", "cleanup"),
        line('from=<"a b"@b.test>, size=281, nrcpt=2 (queue active)', "qmgr"),
        delivery(),
        delivery(to="s@x.test", relay="p43r1[203.0.113.8]:587"),
        line("removed", "qmgr"),
    )
    assert (message.sender, message.login, message.removed) == ('"a b"@b.test', "acme-app", True)
    assert [(d.recipient, d.alias) for d in message.deliveries] == [
        ("r@x.test", Alias(42, 7)),
        ("s@x.test", Alias(43, 1)),
    ]
    assert (message.earlier, message.unread) == (0, 0)


def test_the_null_sender_is_not_an_unknown_one() -> None:
    assert read(line("from=<>, size=286, nrcpt=1 (queue active)", "qmgr")).sender == ""
    assert read(delivery()).sender is None


@pytest.mark.parametrize(
    "time",
    [
        "Nov  3 01:02:03",
        "Nov  3 01:02:03.123456",
        "2026-11-28T15:00:42.123456+00:00",
        "2026-11-28T15:00:42Z",
    ],
)
def test_each_form_of_time_is_read(time: str) -> None:
    assert only(delivery().replace(AT, time)).time == time


@pytest.mark.parametrize(
    ("relay", "answer", "alias"),
    [
        ("m0r3[203.0.113.9]:465", "x", Alias.parse("m0r3")),
        ("b0r3[203.0.113.9]:465", "x", Alias.parse("b0r3")),
        ("none", "connect to p42r7[203.0.113.9]:587: Connection refused", Alias(42, 7)),
        (
            "none",
            "Host or domain name not found. Name service error for name=p42r7 type=A: Host not"
            " found",
            Alias(42, 7),
        ),
        ("none", f"{SUSPENDED}connect to p42r7[203.0.113.9]:587: Connection refused", Alias(42, 7)),
        ("none", f"{SUSPENDED}host p42r7[203.0.113.9] refused to talk to me: 421 x", Alias(42, 7)),
        ("none", f"{SUSPENDED}lost connection with p42r7[203.0.113.9] while x", Alias(42, 7)),
        (
            "none",
            f"{SUSPENDED}SASL authentication failed; server p42r7[203.0.113.9] said: 535 connect to"
            " p9r9[203.0.113.9]: x",
            Alias(42, 7),
        ),
        ("none", "unknown: connect to p42r7[203.0.113.9]:587: Connection refused", None),
        ("none", "The domain of the sender has no route at present", None),
        ("smtp.old.example[203.0.113.9]:25", "connect to p42r7[203.0.113.9]:587: x", None),
        ("p042r7[203.0.113.9]:587", "x", None),
    ],
)
def test_the_nexthop_is_that_of_the_relay_or_of_what_was_not_reached(
    relay: str, answer: str, alias: Alias | None
) -> None:
    assert only(delivery(relay, status="deferred", answer=answer)).alias == alias


FORGED = ", relay=p9r9[203.0.113.1]:587, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (x)"


@pytest.mark.parametrize(
    "forged",
    [
        delivery(to=f'"a>{FORGED}"@x.test'),
        delivery(to=f"a>{FORGED} <b@x.test"),
        delivery(answer=f"250 ok){FORGED}"),
        delivery(answer=f"250 ok){FORGED} to=<r@x.test>"),
        delivery(to="a@x.test>, orig_to=<b@x.test> relay=p9r9[1.2.3.4]:25"),
    ],
)
def test_a_line_that_can_be_read_in_two_ways_is_counted_and_not_read(forged: str) -> None:
    message = read(forged)
    assert (message.deliveries, message.unread) == ((), 1)


def test_an_answer_that_looks_like_a_status_is_text() -> None:
    answer = "250 ok, dsn=5.0.0, status=bounced (no) to=<x@y.test>"
    delivered = only(delivery(answer=answer))
    assert (delivered.status, delivered.answer) == ("sent", answer)


@pytest.mark.parametrize(
    "foreign",
    [
        f"{AT} mx dovecot[1]: {delivery()}",
        f"{AT} mx postfix/smtp[x]: {ID}: removed\n",
        f"{AT} mx mypostfix/smtp[1]: {ID}: removed\n",
        f"x {delivery()}",
        line(f"reject: RCPT from a[1.2.3.4]: 553 5.7.1 <{ID}: to=<r@x.test>", "smtpd", "NOQUEUE"),
        line("removed", "qmgr", f"{ID}A"),
    ],
)
def test_lines_of_others_are_not_of_the_message(foreign: str) -> None:
    assert find_message([foreign], ID) is None


def test_equal_attempts_are_counted_and_another_nexthop_is_a_new_one() -> None:
    refused = delivery(relay="none", status="deferred", answer="connect to p42r7[1.2.3.4]:587: no")
    message = read(
        refused,
        delivery(to="s@x.test"),
        refused.replace(AT, "Nov 28 16:00:42"),
        delivery(relay="p43r1[203.0.113.8]:587"),
    )
    assert [(d.recipient, d.alias, d.status, d.attempts) for d in message.deliveries] == [
        ("r@x.test", Alias(42, 7), "deferred", 2),
        ("s@x.test", Alias(42, 7), "sent", 1),
        ("r@x.test", Alias(43, 1), "sent", 1),
    ]
    assert message.deliveries[0].time == "Nov 28 16:00:42"


@pytest.mark.parametrize("ends", [True, False])
def test_an_id_that_is_used_again_is_the_latest_message(ends: bool) -> None:
    first = [line("client=app[192.0.2.7]", "smtpd"), delivery(to="old@x.test")]
    if ends:
        first.append(line("removed", "qmgr"))
    message = read(
        *first,
        line("client=crm[192.0.2.8], sasl_method=LOGIN, sasl_username=crm", "smtpd"),
        delivery(),
    )
    assert (message.earlier, message.login) == (1, "crm")
    assert [d.recipient for d in message.deliveries] == ["r@x.test"]


def test_a_bounce_names_the_notification() -> None:
    message = read(
        delivery(status="bounced", answer="550 no"),
        line("sender non-delivery notification: 1D0329862C2", "bounce"),
    )
    assert message.notification == "1D0329862C2"


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("Nov 28 15:00:42", "2026-11-28T15:00:42+01:00"),
        ("Nov 28 15:00:42.5", "2026-11-28T15:00:42.500000+01:00"),
        ("Nov 29 15:00:42", "2026-11-29T15:00:42+01:00"),
        ("Dec  3 01:02:03", "2025-12-03T01:02:03+01:00"),
        ("2026-11-28T15:00:42.5Z", "2026-11-28T15:00:42.500000+00:00"),
        ("Feb 29 15:00:42", None),
        ("2026-13-28T15:00:42Z", None),
    ],
)
def test_a_time_without_a_year_is_the_last_one_that_was(time: str, expected: str | None) -> None:
    moment = moment_of(time, datetime.fromisoformat("2026-11-28T16:00:00+01:00"))
    assert (moment.isoformat() if moment else None) == expected


SECONDS = 15.0
"""Far above the time of a linear search, and far below that of a quadratic one (a minute)."""


@pytest.mark.parametrize(
    "address", ["@" * 60_000, "a@" * 30_000, '"' * 60_000, '"a' * 30_000, '"\\"' * 20_000]
)
@pytest.mark.parametrize("event", ["to=<{}>, relay=", "from=<{}>, size="])
def test_an_address_of_a_stranger_takes_no_time(address: str, event: str) -> None:
    began = time.monotonic()
    program = "smtp" if event.startswith("to") else "qmgr"
    assert read(line(event.format(address), program)).unread == 1
    assert time.monotonic() - began < SECONDS


def test_a_message_of_many_recipients_is_read_in_time() -> None:
    began = time.monotonic()
    recipients = [f"r{number}@x.test" for number in range(50_000)]
    message = read(*(delivery(to=to) for to in recipients * 2))
    assert [(d.recipient, d.attempts) for d in message.deliveries] == [(to, 2) for to in recipients]
    assert time.monotonic() - began < SECONDS
