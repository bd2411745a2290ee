"""Waiting for what others commit, on each database."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from tests.postgres import Cluster
from tests.proxy import Proxy

from sendroute.model.provenance import Provenance
from sendroute.store.create import init_store
from sendroute.store.record import Store, open_store

LONG = 30.0  # seconds: who waits so long has missed it
AT_ONCE = 3.0


@pytest.fixture
def another(store: Store, store_url: str) -> Iterator[Store]:  # noqa: ARG001 - it is made first
    """As another program has it."""
    with open_store(store_url) as opened:
        yield opened


def change(store: Store, say: Any, at: int = 0) -> int:
    account = say.account() if at == 0 else say.profile(f"p{at}")
    return store.commit([say.plan(at, account)], None, say.provenance)


def seconds_of(waits: Any) -> tuple[bool, float]:
    before = time.monotonic()
    told = waits()
    return told, time.monotonic() - before


def test_without_a_commit_the_time_passes(store: Store) -> None:
    with store.watch() as changes:
        told, took = seconds_of(lambda: changes.wait(0.3))
    assert not told
    assert 0.3 <= took < AT_ONCE


def test_what_was_committed_before_is_none(store: Store, say: Any) -> None:
    change(store, say)
    with store.watch() as changes:
        assert not changes.wait(0)


def test_a_commit_between_two_waits_is_told_once(store: Store, another: Store, say: Any) -> None:
    with store.watch() as changes:
        change(another, say)
        assert changes.wait(0)
        assert not changes.wait(0)
        change(another, say, 1)
        change(another, say, 2)
        assert changes.wait(LONG)
        assert not changes.wait(0.3)


def test_a_commit_of_its_own_store_is_told_too(store: Store, say: Any) -> None:
    with store.watch() as changes:
        change(store, say)
        assert changes.wait(0)


def test_a_commit_ends_a_wait(store: Store, another: Store, say: Any) -> None:
    with store.watch() as changes:
        writer = threading.Timer(0.3, change, (another, say))
        writer.start()
        told, took = seconds_of(lambda: changes.wait(LONG))
        writer.join()
    assert told
    assert took < AT_ONCE


def test_each_of_several_that_wait_is_told(store: Store, another: Store, say: Any) -> None:
    with store.watch() as one, another.watch() as two:
        change(store, say)
        assert one.wait(LONG)
        assert two.wait(LONG)


def test_what_raises_no_revision_is_told_to_nobody(postgres_url: str, say: Any) -> None:
    """A relay that says it is alive would wake all others."""
    with init_store(postgres_url, say.provenance) as store, store.watch() as changes:
        with psycopg.connect(postgres_url) as own:
            own.execute("INSERT INTO sendroute.relay VALUES ('r', 0, now())")
        store.commit([say.plan(0)], None, say.provenance)
        assert not changes.wait(0.3)


def test_it_ends_when_it_is_closed_elsewhere(store: Store, another: Store, say: Any) -> None:
    with store.watch() as changes:
        threading.Timer(0.3, changes.close).start()
        told, took = seconds_of(lambda: changes.wait(LONG))
        change(another, say)
        assert not changes.wait(LONG), "closed is closed"
    assert not told
    assert took < AT_ONCE


def test_a_lost_word_is_made_up_for(postgres_url: str, say: Any) -> None:
    """A revision is asked for now and then; here its word is held back by the schema."""
    with init_store(postgres_url, say.provenance) as store, store.watch() as changes:
        with psycopg.connect(postgres_url) as own:
            own.execute("ALTER TABLE sendroute.store DISABLE TRIGGER store_tells")
        change(store, say)
        assert changes.wait(LONG)


def test_words_of_others_on_the_channel_are_nothing(postgres_url: str, say: Any) -> None:
    with init_store(postgres_url, say.provenance) as store, store.watch() as changes:
        with psycopg.connect(postgres_url) as own:
            own.execute("NOTIFY sendroute, 'good morning'")
            own.execute("NOTIFY sendroute, '999999'")
        assert not changes.wait(0.3)
        change(store, say)
        assert changes.wait(AT_ONCE)


def test_a_lost_connection_is_told_once_and_then_it_goes_on(
    cluster: Cluster, postgres_url: str, say: Any
) -> None:
    init_store(postgres_url, say.provenance).close()
    with (
        Proxy(cluster.port) as proxy,
        open_store(postgres_url.replace(str(cluster.port), str(proxy.port))) as store,
        store.watch() as changes,
    ):
        for line in proxy.lines:
            line.cut()
        assert changes.wait(LONG), "something may have happened meanwhile"
        assert not changes.wait(0.3)
        change(store, say)
        assert changes.wait(AT_ONCE)


def test_a_server_that_is_away_is_waited_for(say: Any) -> None:
    provenance: Provenance = say.provenance
    with Cluster() as server:
        url = server.url(server.create_database())
        with init_store(url, provenance) as store, store.watch() as changes:
            server.stop()
            told, took = seconds_of(lambda: changes.wait(0.5))
            assert not told
            assert took < AT_ONCE
            server.start()
            assert changes.wait(LONG)
            assert not changes.wait(0.3)
            change(store, say)
            assert changes.wait(AT_ONCE)
