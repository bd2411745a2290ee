"""Real mail while routes change under it: none lost, none doubled, none with another's password.

``SENDROUTE_TEST_MAILS`` makes the backlog longer (500 messages), ``SENDROUTE_TEST_SWITCHES`` the
number of switches (20), and ``SENDROUTE_TEST_LOOKUPS`` the lookups during changes more (20,000).
"""

import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sendroute.postfix.tables import TRANSPORT

from .programs import program, real_mail
from .sending import Sending, account, domain, profile, through
from .server import send

pytestmark = real_mail()

MAILS = int(os.environ.get("SENDROUTE_TEST_MAILS", "500"))
SWITCHES = int(os.environ.get("SENDROUTE_TEST_SWITCHES", "20"))
LOOKUPS = int(os.environ.get("SENDROUTE_TEST_LOOKUPS", "20000"))
CHANGES = 10
PROFILES = ("first", "second", "elsewhere")


def three_profiles(sending: Sending, name: str) -> None:
    """Two profiles at one host and port, and a third with the first one's user elsewhere."""
    sending.secret(name, "first", "first", "1-secret")
    sending.secret(name, "second", "second", "2-secret")
    sending.secret(name, "elsewhere", "first", "3-secret")
    for profile_name, host in zip(PROFILES, ("one", "one", "two"), strict=True):
        sending.documents.append(
            profile(name, profile_name, f"smtp.{host}.test", 587, "starttls", profile_name)
        )


@contextmanager
def at_the_same_time(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run ``work`` in a thread until the block ends; its error is raised then."""
    ended, errors = threading.Event(), []

    def run() -> None:
        try:
            work(ended)
        except BaseException as error:  # noqa: BLE001 - it is raised below
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(120)
    for error in errors:
        raise error


def test_switches_with_a_backlog_lose_and_double_nothing_and_offer_no_others_password(
    sending: Sending,
) -> None:
    three_profiles(sending, "moving")
    current = domain("moving", "moving.test", through("first"))
    sending.apply(account("moving"), current)
    sending.provider_one.delay = sending.provider_two.delay = 1
    try:
        with sending.server.session() as session:
            for number in range(MAILS):
                send(session, f"a{number}@moving.test", f"moving-{number}")
        seen = len(sending.provider_one.received) + len(sending.provider_two.received)
        assert seen < MAILS // 2, "there is no backlog"
        moved = domain("moving", "moving.test", through("elsewhere"))
        sending.replace(current, moved, settled=True)
        current = moved
        sending.server.wait(lambda: bool(sending.provider_two.subjects), "no mail took a new route")
        sending.provider_one.delay = sending.provider_two.delay = 0.1
        for number in range(SWITCHES):
            route = through(PROFILES[number % len(PROFILES)])
            following = domain("moving", "moving.test", route)
            sending.replace(current, following)
            current = following
    finally:
        sending.provider_one.delay = sending.provider_two.delay = 0
    subjects = {f"moving-{number}" for number in range(MAILS)}
    sending.server.wait_until_empty(300)
    sending.assert_each_took_its_own_route(subjects)


def test_an_apply_all_in_the_middle_of_traffic_moves_it(sending: Sending) -> None:
    three_profiles(sending, "whole")
    names = [f"whole{number}.test" for number in range(5)]
    before = account("whole")
    sending.apply(before, *(domain("whole", name, through("first")) for name in names))
    sent: list[str] = []

    def traffic(ended: threading.Event) -> None:
        with sending.server.session() as session:
            while not ended.is_set():
                sent.append(f"whole-{len(sent)}")
                send(session, f"a{len(sent)}@{names[len(sent) % 5]}", sent[-1])

    with at_the_same_time(traffic):
        for number, target in enumerate(("elsewhere", "second", "elsewhere")):
            count = len(sent)
            sending.server.wait(lambda: len(sent) > count + 40, "no traffic")  # noqa: B023
            switch = {"id": f"move-{number}", "route": through(target), "confirm": {"domains": 5}}
            after = account("whole", applyToAll=switch)
            sending.replace(before, after, settled=True)
            before = after
    last = len(sent)
    for name in names:
        sending.server.send(f"last@{name}", f"last-{name}")
    sending.server.wait_until_empty()
    sending.assert_each_took_its_own_route(sent[:last])
    assert {f"last-{name}" for name in names} <= sending.provider_two.subjects.keys()


def test_lookups_during_changes_are_the_old_or_the_new_and_never_empty_or_mixed(
    sending: Sending,
) -> None:
    count, passes = 200, 100
    sending.secret("asked", "own", "first", "1-secret")
    ways = [
        profile("asked", "own", "smtp.one.test", port, encryption, "own")
        for port, encryption in ((587, "starttls"), (465, "tls"))
    ]
    names = [f"asked{number}.test" for number in range(count)]
    sending.apply(
        account("asked"), ways[0], *(domain("asked", name, through("own")) for name in names)
    )
    keys = "".join(f"a@{name}\n" for name in names) * passes
    answers: list[str] = []

    def ask(ended: threading.Event) -> None:
        while not ended.is_set():
            answers.extend(look_up(sending, keys))

    with at_the_same_time(ask):
        number = 0
        while number < CHANGES or len(answers) < LOOKUPS:
            sending.replace(ways[number % 2], ways[(number + 1) % 2])
            number += 1
    assert len(answers) >= LOOKUPS
    assert len(answers) % (count * passes) == 0, "a lookup was empty"
    versions = [int(answer) for answer in answers]
    assert versions == sorted(versions), "one lookup was new, and a later one old"
    assert len(set(versions)) > 2


def look_up(sending: Sending, keys: str) -> list[str]:
    """The version of the nexthop for each key that has a row."""
    command = (str(program("postmap")), "-q", "-", TRANSPORT.map(str(sending.server.tables)))
    done = subprocess.run(
        command, env=sending.server.environment, input=keys, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return re.findall(r"\[p\d+r(\d+)\]", done.stdout)
