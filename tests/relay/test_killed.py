"""Lookups during updates, and ``kill -9`` of the agent at random moments: the tables hold exactly
one revision, whole."""

import os
import random
import sqlite3
import time
from collections import Counter
from contextlib import closing
from threading import Event, Thread

from tests.relay.conftest import Site

from sendroute.model.route import Route, via

# As for the crash tests: SENDROUTE_TEST_SEED repeats a failed run.
KILLS = max(3, int(os.environ.get("SENDROUTE_TEST_KILLS", "100")) // 10)
DOMAINS = [f"domain-{number:04}.example" for number in range(2_000)]
ROUTES = (via("one"), via("two"))
TRANSPORTS = ("sendroute-starttls:[p1r1]:587", "sendroute-starttls:[p2r1]:587")


def test_a_killed_agent_leaves_one_whole_revision(site: Site) -> None:
    seed = int(os.environ.get("SENDROUTE_TEST_SEED", "0")) or random.randrange(2**32)
    print(f"SENDROUTE_TEST_SEED={seed}")
    rng = random.Random(seed)
    site.fill(*(site.create(domain, ROUTES[0]) for domain in DOMAINS))
    routes = {1: TRANSPORTS[0]}
    agent = site.start()
    site.wait_until_served(1)
    current = 0
    for _ in range(KILLS):
        before, after = ROUTES[current], ROUTES[1 - current]
        revision = site.commit(*_switch(site, before, after))
        current = 1 - current
        routes[revision] = TRANSPORTS[current]
        time.sleep(rng.uniform(0, rng.choice((0.08, 0.3))))
        agent.kill()
        _check(site, routes)
        agent = site.start()
        if rng.random() < 0.5:
            time.sleep(rng.uniform(0, 1.5))
            agent.kill()
            _check(site, routes)
            agent = site.start()
        site.wait_until_served(revision)
        assert _check(site, routes) == revision
    agent.wait_for_log("keeps the tables")  # an earlier one may have reported the revision
    assert agent.stop() == 0
    assert _check(site, routes) == revision
    assert {path.name for path in site.tables.iterdir()} == {
        "agent.lock",
        "aliases",
        "tables.sqlite",
        "tables.sqlite-wal",
        "tables.sqlite-shm",
    }


def test_a_lookup_sees_the_old_route_or_the_new_one(small_site: Site) -> None:
    """Never an error, no row, or a route of two revisions: a reader does not wait for a lock."""
    site = small_site
    site.fill(*(site.create(domain, ROUTES[0]) for domain in DOMAINS))
    site.start("--no-reload")
    site.wait_until_served(1)
    stop, seen, errors = Event(), Counter[str](), list[Exception]()

    def look_up() -> None:
        rng = random.Random(1)
        path = f"file:{site.tables}/tables.sqlite?mode=ro"
        try:
            with closing(sqlite3.connect(path, uri=True, timeout=0)) as reader:
                while not stop.is_set():
                    key = (rng.choice(DOMAINS),)
                    [(value,)] = reader.execute("SELECT value FROM transport WHERE key = ?", key)
                    seen[value] += 1
        except Exception as error:  # noqa: BLE001 - every error is a failed lookup
            errors.append(error)

    readers = [Thread(target=look_up) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(10):
        before, after = ROUTES[number % 2], ROUTES[1 - number % 2]
        site.wait_until_served(site.commit(*_switch(site, before, after)))
    stop.set()
    for reader in readers:
        reader.join()
    assert errors == []
    assert seen.keys() == set(TRANSPORTS)
    assert seen.total() > 1_000


def _switch(site: Site, before: Route, after: Route) -> list[object]:
    return [site.reroute(domain, before, after) for domain in DOMAINS]


def _check(site: Site, routes: dict[int, str]) -> int:
    """The revision in the tables, whose routes all domains have."""
    [(revision,)] = site.sql("SELECT revision FROM served")
    rows = site.rows("transport")
    rows.pop("<>")
    assert rows.keys() == set(DOMAINS)
    assert set(rows.values()) == {routes[revision]}
    aliases = site.aliases()
    for transport in rows.values():
        assert transport.partition("[")[2].partition("]")[0] in aliases
    return int(revision)
