"""Real mail takes the decided route, and no other."""

import smtplib

import pytest

from .programs import real_mail
from .sending import MANAGED, UNCONFIGURED, Sending, account, domain, profile, through
from .server import send

pytestmark = real_mail()


def refusal(sending: Sending, sender: str) -> tuple[int, str]:
    with pytest.raises(smtplib.SMTPResponseException) as caught:
        sending.server.send(sender, "refused")
    error = caught.value.smtp_error
    return caught.value.smtp_code, error.decode() if isinstance(error, bytes) else error


def wait_until_held(sending: Sending, sender: str) -> None:
    """Wait until the last attempt found no route. The attempt that a reload interrupts still takes
    the old one, so until then the host must not accept the message."""
    sending.server.wait_flushing(
        lambda: "no route at present" in sending.server.last_attempt(sender), "not held"
    )


def test_every_route_ends_at_its_host_with_its_user_and_certificate(sending: Sending) -> None:
    sending.secret("acme", "first", "first", "1-secret")
    sending.secret("acme", "other", "first", "3-secret")
    sending.apply(
        account("acme"),
        profile("acme", "starttls", "smtp.one.test", 587, "starttls", "first"),
        profile("acme", "tls", "smtp.two.test", 465, "tls", "other"),
        profile("acme", "none", "smtp.one.test", 2525, "none", "first", allowInsecureAuth=True),
        domain("acme", "managed.test", MANAGED),
        domain("acme", "starttls.test", through("starttls")),
        domain("acme", "tls.test", through("tls")),
        domain("acme", "none.test", through("none")),
    )
    names = ("managed", "starttls", "tls", "none")
    for name in names:
        sending.server.send(f"a@{name}.test", f"route-{name}")
    hosts = (sending.managed, sending.provider_one, sending.provider_two)
    sending.server.wait(
        lambda: sum(m.subject.startswith("route-") for h in hosts for m in h.received) == 4,
        "not all mail arrived",
    )
    arrived = {
        (message.subject, host.host, message.user, message.server_name)
        for host in hosts
        for message in host.received
    }
    assert arrived >= {
        ("route-managed", "smtp.managed.test", "managed", "smtp.managed.test"),
        ("route-starttls", "smtp.one.test", "first", "smtp.one.test"),
        ("route-tls", "smtp.two.test", "first", "smtp.two.test"),
        ("route-none", "smtp.one.test", "first", None),
    }


def test_a_new_profile_is_used_without_a_reload(sending: Sending) -> None:
    loads = sending.server.log.count("reload")
    sending.secret("fresh", "own", "second", "2-secret")
    sending.apply(
        account("fresh"),
        profile("fresh", "own", "smtp.one.test", 465, "tls", "own"),
        domain("fresh", "fresh.test", through("own")),
    )
    sending.server.send("a@fresh.test", "fresh")
    sending.server.wait(
        lambda: sending.provider_one.subjects["fresh"] == 1, "the new profile is not used"
    )
    assert {m.user for m in sending.provider_one.received if m.subject == "fresh"} == {"second"}
    assert sending.server.log.count("reload") == loads


def test_what_has_no_route_is_refused_with_a_text_that_helps(sending: Sending) -> None:
    sending.apply(account("mute"), domain("mute", "mute.test", UNCONFIGURED))
    code, text = refusal(sending, "a@mute.test")
    assert (code, text[:5]) == (554, "5.7.1")
    assert "no outbound route" in text
    for unknown in ("a@unknown.test", "a@sub.mute.test", "a@test"):
        code, text = refusal(sending, unknown)
        assert (code, text[:5]) == (554, "5.7.1")
        assert f"No account here has the domain {unknown.partition('@')[2]}" in text


def test_bounces_take_the_managed_relay(sending: Sending) -> None:
    sending.server.send("", "bounce")
    sending.server.wait(lambda: sending.managed.subjects["bounce"] == 1, "no bounce arrived")
    (message,) = [m for m in sending.managed.received if m.subject == "bounce"]
    assert (message.sender, message.user) == ("", "managed")


def test_mail_of_a_wrong_certificate_waits_and_is_not_handed_over(sending: Sending) -> None:
    host = sending.impostor
    sending.apply(
        account("tricked"),
        profile("tricked", "starttls", host.host, 587, "starttls", None),
        profile("tricked", "tls", host.host, 465, "tls", None),
        domain("tricked", "tricked-starttls.test", through("starttls")),
        domain("tricked", "tricked-tls.test", through("tls")),
    )
    for way in ("starttls", "tls"):
        sender = f"a@tricked-{way}.test"
        sending.server.send(sender, "tricked")
        sending.server.wait(lambda: sending.server.statuses(sender) != [], "no attempt")  # noqa: B023
        assert set(sending.server.statuses(sender)) == {"deferred"}
        sending.server.discard(sender)
    assert host.received == []
    assert "Server certificate not verified" in sending.server.log


def test_a_missing_alias_delays_mail_and_does_not_return_it(sending: Sending) -> None:
    sending.apply(account("early"), domain("early", "early.test", MANAGED))
    with sending.without_alias("early.test"):
        sending.server.send("a@early.test", "early")
        sending.server.wait(lambda: sending.server.statuses("a@early.test") != [], "no attempt")
        assert set(sending.server.statuses("a@early.test")) == {"deferred"}
        assert "dsn=4.4.4" in sending.server.log
    sending.server.wait_flushing(
        lambda: sending.managed.subjects["early"] == 1, "it was not tried again"
    )


def test_mail_without_its_credential_waits_and_is_never_sent_without_signing_in(
    sending: Sending,
) -> None:
    sending.secret("locked", "own", "first", "1-secret")
    offered = len(sending.provider_one.attempts)
    with sending.without_key():
        sending.apply(
            account("locked"),
            profile("locked", "own", "smtp.one.test", 587, "starttls", "own"),
            domain("locked", "locked.test", through("own")),
        )
        assert sending.transport("locked.test") is None
        sending.server.send("a@locked.test", "locked")
        sending.server.wait(lambda: sending.server.statuses("a@locked.test") != [], "no attempt")
        assert set(sending.server.statuses("a@locked.test")) == {"deferred"}
        assert "no route at present" in sending.server.last_attempt("a@locked.test")
        assert len(sending.provider_one.attempts) == offered
    sending.server.wait_flushing(
        lambda: sending.provider_one.subjects["locked"] == 1, "it was not tried again"
    )


def test_a_deleted_domain_is_refused_and_its_queued_mail_waits(sending: Sending) -> None:
    gone = domain("gone", "gone.test", MANAGED)
    sending.apply(account("gone"), gone)
    sending.server.send("a@gone.test", "before")
    sending.server.wait(lambda: sending.managed.subjects["before"] == 1, "no mail arrived")
    sending.managed.reply = "451 4.3.0 later"
    try:
        sending.server.send("a@gone.test", "queued")
        sending.server.wait(lambda: sending.server.statuses("a@gone.test")[1:] != [], "no attempt")
        sending.remove(gone)
        wait_until_held(sending, "a@gone.test")
    finally:
        sending.managed.reply = None
    code, text = refusal(sending, "a@gone.test")
    assert (code, text[:5]) == (554, "5.7.1")
    sending.server.flush()
    assert sending.managed.subjects["queued"] == 0
    sending.server.discard("a@gone.test")


def test_mail_of_a_domain_without_a_route_is_held_until_it_has_one(sending: Sending) -> None:
    with_route = domain("held", "held.test", MANAGED)
    sending.apply(account("held"), with_route)
    sending.managed.reply = "451 4.3.0 later"
    try:
        sending.server.send("a@held.test", "held")
        sending.server.wait(lambda: sending.server.statuses("a@held.test") != [], "no attempt")
        sending.replace(with_route, domain("held", "held.test", UNCONFIGURED), settled=True)
        wait_until_held(sending, "a@held.test")
    finally:
        sending.managed.reply = None
    assert sending.managed.subjects["held"] == 0
    sending.replace(domain("held", "held.test", UNCONFIGURED), with_route, settled=True)
    sending.server.wait_until_empty()
    assert sending.managed.subjects["held"] == 1
    assert "bounced" not in sending.server.statuses("a@held.test")


def test_a_profile_that_is_slow_or_fails_leaves_its_neighbours_at_speed(sending: Sending) -> None:
    count = 60
    sending.secret("slow", "own", "user", "password")
    sending.secret("quick", "own", "second", "2-secret")
    sending.secret("wrong", "own", "second", "no-such-password")
    sending.apply(
        account("slow"),
        profile("slow", "own", sending.slow.host, 587, "starttls", "own"),
        domain("slow", "slow.test", through("own")),
        account("quick"),
        profile("quick", "own", "smtp.one.test", 587, "starttls", "own"),
        domain("quick", "quick.test", through("own")),
        account("wrong"),
        profile("wrong", "own", "smtp.one.test", 587, "starttls", "own"),
        domain("wrong", "wrong.test", through("own")),
    )
    with sending.server.session() as session:
        for number in range(count):
            for name in ("slow", "wrong", "quick"):
                send(session, f"a@{name}.test", f"{name}-{number}")
    sending.server.wait(
        lambda: sum(m.subject.startswith("quick-") for m in sending.provider_one.received) == count,
        "the neighbours of a slow profile wait",
        30,
    )
    slow = sum(m.subject.startswith("slow-") for m in sending.slow.received)
    assert slow < count, "the slow profile was not slow"
    assert not any(m.subject.startswith("wrong-") for m in sending.provider_one.received)
    sending.server.discard("a@wrong.test")
    sending.server.discard("a@slow.test")
