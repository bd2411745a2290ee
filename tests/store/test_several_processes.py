"""Concurrent writers, and writers that are killed."""

import random
import time
from collections.abc import Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from sendroute.model.current import DomainState
from sendroute.model.problem import ProblemError, StaleError
from sendroute.model.route import MANAGED, UNCONFIGURED, Origin
from sendroute.store.create import init_store
from sendroute.store.record import Store, open_store

from .raw import opened

NAMES = [f"d{number:04}.example" for number in range(600)]


def other_route(state: DomainState) -> DomainState:
    return DomainState(UNCONFIGURED if state.route is MANAGED else MANAGED, Origin.DECLARED)


def write(url: str, say: Any, turns: int, sender: Connection) -> None:
    """Reroute every domain repeatedly and send each committed revision."""
    store = open_store(url)
    while turns:
        [account] = store.read().accounts.values()
        after = {state: other_route(state) for state in set(account.domains.values())}
        changes = [say.domain(name, state, after[state]) for name, state in account.domains.items()]
        try:
            revision = store.commit([say.plan(account.revision, *changes)], None, say.provenance)
        except StaleError:
            continue
        sender.send(revision)
        turns -= 1


@pytest.fixture
def filled(store_url: str, say: Any) -> Iterator[Store]:
    with init_store(store_url, say.provenance) as store:
        store.commit([say.start(*NAMES)], None, say.provenance)
        yield store


def test_concurrent_writers_lose_no_change(
    filled: Store, store_url: str, say: Any, child: Any
) -> None:
    filled.close()  # a SQLite connection must not be used after a fork
    children = [child(partial(write, store_url, say, 15)) for _ in range(2)]
    revisions = [process.receive_all() for process in children]
    assert sorted(revisions[0] + revisions[1]) == list(range(2, 32))
    with open_store(store_url) as store:
        current = store.read()
        entries = store.history(domain=NAMES[0])
    assert current.revision == 31
    [account] = current.accounts.values()
    # After thirty reroutes every domain has its first route again.
    assert {state.route for state in account.domains.values()} == {MANAGED}
    assert len(entries) == 31


def test_killed_writer_leaves_the_old_or_the_new_state(
    filled: Store, store_url: str, say: Any, child: Any
) -> None:
    chance = random.Random(20261103)
    filled.close()
    for _ in range(30):
        writer = child(partial(write, store_url, say, 1_000_000))
        sent = [writer.receive()]  # it has started to write
        time.sleep(chance.uniform(0, 0.05))  # kill it at a random moment
        writer.process.kill()
        sent += writer.receive_all()
        with open_store(store_url) as store:
            current = store.read()
            [account] = current.accounts.values()
            entries = len(store.history(domain=NAMES[0])), len(store.history(domain=NAMES[-1]))
        # All sent revisions are stored, and at most one more, whose number was not sent.
        assert current.revision in (sent[-1], sent[-1] + 1)
        route = UNCONFIGURED if current.revision % 2 == 0 else MANAGED
        assert {state.route for state in account.domains.values()} == {route}
        assert entries == (current.revision, current.revision)
        assert account.revision == current.revision
    if store_url.startswith("sqlite"):
        with opened(store_url) as raw:
            assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert raw.execute("PRAGMA foreign_key_check").fetchall() == []


def test_reader_does_not_wait_for_a_writer(filled: Store, store_url: str) -> None:
    with opened(store_url) as raw:
        raw.execute("BEGIN")
        raw.execute("UPDATE domain SET kind = 'unconfigured'")
        [account] = filled.read().accounts.values()
        assert {state.route for state in account.domains.values()} == {MANAGED}
        raw.execute("ROLLBACK")


def test_blocked_store_is_reported_as_locked(store_url: str, say: Any) -> None:
    init_store(store_url, say.provenance).close()
    with opened(store_url) as raw, open_store(store_url, busy_timeout=0.05) as store:
        raw.execute("BEGIN")
        raw.execute("UPDATE store SET last_profile = last_profile")
        with pytest.raises(ProblemError) as caught:
            store.commit([say.plan(0, say.account())], None, say.provenance)
        assert [finding.code for finding in caught.value.findings] == ["store-locked"]
        raw.execute("ROLLBACK")
        assert store.commit([say.plan(0, say.account())], None, say.provenance) == 1


def create_and_send_lineage(url: str, say: Any, sender: Connection) -> None:
    try:
        with init_store(url, say.provenance) as store:
            sender.send(store.read().lineage)
    except ProblemError as error:
        sender.send(error.findings[0].code)


def test_concurrent_inits_create_one_store(
    store_url: str, tmp_path: Path, say: Any, child: Any
) -> None:
    children = [child(partial(create_and_send_lineage, store_url, say)) for _ in range(3)]
    results = [process.receive_all() for process in children]
    with open_store(store_url) as store:
        expected = [[store.read().lineage], ["store-exists"], ["store-exists"]]
    assert sorted(results) == sorted(expected)
    if store_url.startswith("sqlite"):
        assert [path.name for path in tmp_path.iterdir()] == ["sendroute.db"]
