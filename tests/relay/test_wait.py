"""``apply --wait`` ends when every live relay serves the change, and never waits for a dead one."""

import json
import signal
import time

import pytest
from tests.loop.conftest import PLATFORM, account
from tests.relay.conftest import Site
from tests.store.raw import opened

from sendroute.model.records import RelayRow


@pytest.fixture
def applied(site: Site) -> Site:
    """A site with a directory of manifests that was applied once."""
    (site.directory / "m").mkdir()
    (site.directory / "m" / "platform.yaml").write_text(PLATFORM)
    write(site, "a.example")
    assert site.sendroute("apply", "m", "--auto-approve").returncode == 0
    return site


def write(site: Site, *domains: str) -> None:
    (site.directory / "m" / "acme.yaml").write_text(account("acme", *domains))


def apply_and_wait(site: Site, *options: str) -> tuple[int, str, str, float]:
    started = time.monotonic()
    done = site.sendroute("apply", "m", "--auto-approve", "--wait", *options)
    return done.returncode, done.stdout, done.stderr, time.monotonic() - started


def behind(site: Site) -> RelayRow:
    [relay] = site.store.relays()
    return relay


def test_it_ends_when_the_relay_serves_the_change(applied: Site) -> None:
    site = applied
    site.start()
    site.wait_until_served(site.store.head().revision)
    write(site, "a.example", "b.example")
    status, _, errors, _ = apply_and_wait(site)
    assert (status, errors) == (0, "")
    assert behind(site).revision == site.store.head().revision
    assert site.rows("access").keys() == {"a.example", "b.example", "<>"}


def test_a_live_relay_that_is_too_slow_is_named(applied: Site) -> None:
    site = applied
    agent = site.start()
    site.wait_until_served(site.store.head().revision)
    agent.signal(signal.SIGSTOP)
    write(site, "a.example", "b.example")
    status, problems, _, seconds = apply_and_wait(site, "-q", "--wait-timeout", "2s")
    agent.signal(signal.SIGCONT)
    assert status == 4
    assert "Relay mx1 does not serve revision" in problems
    assert seconds >= 2
    site.wait_until_served(site.store.head().revision)


def test_a_relay_that_was_not_seen_for_a_minute_is_named_and_not_waited_for(
    applied: Site,
) -> None:
    site = applied
    agent = site.start()
    site.wait_until_served(site.store.head().revision)
    agent.kill()
    with opened(site.url) as raw:
        if site.url.startswith("postgresql"):
            raw.execute("UPDATE relay SET seen_at = seen_at - interval '61 seconds'")  # type: ignore[arg-type]
        else:
            raw.execute("UPDATE relay SET seen_at = datetime(seen_at, '-61 seconds')")
    write(site, "a.example", "b.example")
    status, out, _, seconds = apply_and_wait(site)
    assert status == 4
    assert "Relay mx1 was not seen for 60 seconds and is not waited for." in out
    assert seconds < 30
    done = site.sendroute("status", "-o", "json")
    [relay] = json.loads(done.stdout)["relays"]
    assert (relay["behind"], relay["live"]) == (True, False)
    text = site.sendroute("status").stdout
    assert "not seen for more than 60 s" in text


def test_a_forgotten_relay_is_not_waited_for(applied: Site) -> None:
    site = applied
    agent = site.start()
    site.wait_until_served(site.store.head().revision)
    agent.kill()
    assert site.sendroute("relay", "forget", "mx1").returncode == 0
    write(site, "a.example", "b.example")
    status, _, errors, _ = apply_and_wait(site)
    assert status == 0
    assert "No relay reads this store yet" in errors
