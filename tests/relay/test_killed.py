"""Lookups during updates, and ``kill -9`` of the agent and of the store's server at random moments:
the tables hold exactly one revision, whole."""

import os
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from threading import Event, Thread

import pytest
from tests.crash.fork_server import ForkServer
from tests.loop.conftest import wait_until
from tests.postgres import Cluster
from tests.relay.conftest import Site

from sendroute.model.problem import ProblemError
from sendroute.model.route import Route, via

# As for the crash tests: SENDROUTE_TEST_SEED repeats a failed run.
KILLS = int(os.environ.get("SENDROUTE_TEST_KILLS", "100"))
DOMAINS = [f"domain-{number:04}.example" for number in range(2_000)]
ROUTES = (via("one"), via("two"))
TRANSPORTS = ("sendroute-starttls:[p1r1]:587", "sendroute-starttls:[p2r1]:587")


def test_a_killed_agent_leaves_one_whole_revision(site: Site, fork_server: ForkServer) -> None:
    rng = _rng()
    site.fill(*(site.create(domain, ROUTES[0]) for domain in DOMAINS))
    routes = {1: TRANSPORTS[0]}
    agent = site.fork(fork_server)
    site.wait_until_served(1)
    current = kills = 0
    usual = {"runs": 0.3, "starts": 0.3}  # seconds until it serves a revision, on this machine
    while kills < KILLS:
        before, after = ROUTES[current], ROUTES[1 - current]
        revision = site.commit(*_switch(site, before, after))
        current = 1 - current
        routes[revision] = TRANSPORTS[current]
        state, since = "runs", time.monotonic()
        for _ in range(rng.randint(0, 4)):
            time.sleep(rng.uniform(0, 1.1 * usual[state]))
            assert agent.kill() == -signal.SIGKILL, agent.text()
            kills += 1
            _check(site, routes)
            state, since = "starts", time.monotonic()
            agent = site.fork(fork_server)
        wait_until(lambda: agent.has_ended() or _check(site, routes) == revision)  # noqa: B023
        assert not agent.has_ended(), (agent.status, agent.text())
        usual[state] = time.monotonic() - since
        site.wait_until_served(revision)
        assert _check(site, routes) == revision
    # An earlier one may have reported the revision.
    wait_until(lambda: agent.handles(signal.SIGTERM), "the agent handles SIGTERM")
    agent.signal(signal.SIGTERM)
    assert agent.wait() == 0, agent.text()
    assert "Traceback" not in agent.text()
    assert _check(site, routes) == revision
    assert {path.name for path in site.tables.iterdir()} == {
        "agent.lock",
        "aliases",
        "tables.sqlite",
        "tables.sqlite-boot",
        "tables.sqlite-wal",
        "tables.sqlite-shm",
    }


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster


def test_a_killed_server_of_the_store_leaves_one_whole_revision(
    own_cluster: Cluster, make_site: Callable[[str], Site]
) -> None:
    """Every apply switches all domains, so the route of a revision follows from its number."""
    rng = _rng()
    site = make_site(own_cluster.url(own_cluster.create_database()))
    site.fill(*(site.create(domain, ROUTES[0]) for domain in DOMAINS))
    routes = {number: TRANSPORTS[(number - 1) % 2] for number in range(1, 100_000)}
    agent = site.start()
    site.wait_until_served(1)
    ended, interrupted = Event(), list[ProblemError]()

    def apply() -> None:
        while not ended.is_set():
            try:
                current = (site.store.head().revision - 1) % 2
                site.commit(*_switch(site, ROUTES[current], ROUTES[1 - current]))
            except ProblemError as problem:
                interrupted.append(problem)  # it may have been committed nevertheless
                time.sleep(0.02)

    applier, served = Thread(target=apply), 1
    applier.start()
    try:
        for kills in range(1, KILLS + 1):
            time.sleep(rng.uniform(0, rng.choice((0.05, 0.4))))
            own_cluster.stop()
            time.sleep(rng.uniform(0, rng.choice((0.01, 0.2))))
            assert _check(site, routes) >= served, "an older revision"
            own_cluster.start()
            served = _check(site, routes)
            # On a slow machine an apply may need longer than there is between two kills.
            if rng.random() < 0.15 or served <= kills // 2 + 1:
                wait_until(lambda: _check(site, routes) > served)  # noqa: B023
    finally:
        ended.set()
        applier.join()
    head = site.store.head().revision
    site.wait_until_served(head)
    assert _check(site, routes) == head
    codes = {finding.code for problem in interrupted for finding in problem.findings}
    assert codes <= {"store-failed"}, interrupted
    assert head > KILLS // 2, "few applies ended"
    assert "Traceback" not in agent.all()
    assert agent.stop() == 0


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


def _rng() -> random.Random:
    seed = int(os.environ.get("SENDROUTE_TEST_SEED", "0")) or random.randrange(2**32)
    print(f"SENDROUTE_TEST_SEED={seed}")
    return random.Random(seed)


def test_no_lookup_fails_while_the_agent_starts_or_stops(
    small_site: Site, fork_server: ForkServer
) -> None:
    """Postfix may have no process that has read the tables before, and cannot write the index of
    their log."""
    site, rng = small_site, _rng()
    site.fill(*(site.create(domain, ROUTES[0]) for domain in DOMAINS))
    agent = site.fork(fork_server)
    site.wait_until_served(1)
    stop, counts, errors = Event(), Counter[int](), Counter[str]()

    def look_up() -> None:
        url = f"file:{site.tables}/tables.sqlite?mode=ro&readonly_shm=1"
        while not stop.is_set():
            try:
                with closing(sqlite3.connect(url, uri=True, timeout=0)) as reader:
                    row = reader.execute("SELECT count(*) FROM transport").fetchone()
                    counts[row[0]] += 1
            except sqlite3.Error as error:
                errors[str(error)] += 1
            time.sleep(0.001)

    reader = Thread(target=look_up)
    reader.start()
    try:
        for number in range(40):
            if number % 5 == 0:  # the log is not empty
                site.commit(*_switch(site, ROUTES[number % 2], ROUTES[1 - number % 2]))
            wait_until(lambda: agent.has_ended() or agent.handles(signal.SIGTERM))  # noqa: B023
            assert not agent.has_ended(), (agent.status, agent.text())
            time.sleep(rng.uniform(0, 0.2))
            agent.signal(signal.SIGKILL if number % 2 else signal.SIGTERM)
            agent.wait()
            agent = site.fork(fork_server)
    finally:
        stop.set()
        reader.join()
    assert not errors, errors
    assert counts.keys() == {len(DOMAINS) + 1}
    assert counts.total() > 100


def _switch(site: Site, before: Route, after: Route) -> list[object]:
    return [site.reroute(domain, before, after) for domain in DOMAINS]


def _check(site: Site, routes: dict[int, str]) -> int:
    """The revision in the tables, whose routes all domains have."""
    both = site.sql(
        "SELECT key, value, revision FROM transport CROSS JOIN served WHERE key <> '<>'"
    )
    rows, (revision,) = {key: value for key, value, _ in both}, {number for *_, number in both}
    assert rows.keys() == set(DOMAINS)
    assert set(rows.values()) == {routes[revision]}
    aliases = site.aliases()
    for transport in rows.values():
        assert transport.partition("[")[2].partition("]")[0] in aliases
    return int(revision)
