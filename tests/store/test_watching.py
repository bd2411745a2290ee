"""Waiting for the commits of other processes, on each database."""

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

LONG = 30.0  # seconds: a wait this long means that the change was missed
AT_ONCE = 3.0


@pytest.fixture
def another(store: Store, store_url: str) -> Iterator[Store]:  # noqa: ARG001 - it is created first
    """The store, opened as another process does."""
    with open_store(store_url) as opened:
        yield opened


def change(store: Store, say: Any, at: int = 0) -> int:
    account = say.account() if at == 0 else say.profile(f"p{at}")
    return store.commit([say.plan(at, account)], None, say.provenance)


def seconds_of(waits: Any) -> tuple[bool, float]:
    before = time.monotonic()
    changed = waits()
    return changed, time.monotonic() - before


def test_a_wait_without_a_commit_times_out(store: Store) -> None:
    with store.watch() as changes:
        changed, took = seconds_of(lambda: changes.wait(0.3))
    assert not changed
    assert 0.3 <= took < AT_ONCE


def test_an_earlier_commit_is_not_reported(store: Store, say: Any) -> None:
    change(store, say)
    with store.watch() as changes:
        assert not changes.wait(0)


def test_commits_between_two_waits_are_reported_once(
    store: Store, another: Store, say: Any
) -> None:
    with store.watch() as changes:
        change(another, say)
        assert changes.wait(0)
        assert not changes.wait(0)
        change(another, say, 1)
        change(another, say, 2)
        assert changes.wait(LONG)
        assert not changes.wait(0.3)


def test_a_commit_of_the_watching_store_is_reported(store: Store, say: Any) -> None:
    with store.watch() as changes:
        change(store, say)
        assert changes.wait(0)


def test_a_commit_ends_a_wait(store: Store, another: Store, say: Any) -> None:
    with store.watch() as changes:
        writer = threading.Timer(0.3, change, (another, say))
        writer.start()
        changed, took = seconds_of(lambda: changes.wait(LONG))
        writer.join()
    assert changed
    assert took < AT_ONCE


def test_every_watch_is_notified(store: Store, another: Store, say: Any) -> None:
    with store.watch() as first, another.watch() as second:
        change(store, say)
        assert first.wait(LONG)
        assert second.wait(LONG)


def test_a_write_without_a_revision_is_not_reported(postgres_url: str, say: Any) -> None:
    """Otherwise the heartbeat of a relay would wake every process."""
    with init_store(postgres_url, say.provenance) as store, store.watch() as changes:
        with psycopg.connect(postgres_url) as connection:
            connection.execute("INSERT INTO sendroute.relay VALUES ('r', 0, now())")
        store.commit([say.plan(0)], None, say.provenance)
        assert not changes.wait(0.3)


def test_closing_a_watch_ends_its_wait(store: Store, another: Store, say: Any) -> None:
    with store.watch() as changes:
        threading.Timer(0.3, changes.close).start()
        changed, took = seconds_of(lambda: changes.wait(LONG))
        change(another, say)
        assert not changes.wait(LONG), "a closed watch reports nothing"
    assert not changed
    assert took < AT_ONCE


def test_a_lost_notification_is_found_by_polling(postgres_url: str, say: Any) -> None:
    """The watch also polls the revision; here the trigger that notifies is disabled."""
    with init_store(postgres_url, say.provenance) as store, store.watch() as changes:
        with psycopg.connect(postgres_url) as connection:
            connection.execute("ALTER TABLE sendroute.store DISABLE TRIGGER store_tells")
        change(store, say)
        assert changes.wait(LONG)


def test_foreign_notifications_on_the_channel_are_ignored(postgres_url: str, say: Any) -> None:
    with init_store(postgres_url, say.provenance) as store, store.watch() as changes:
        with psycopg.connect(postgres_url) as connection:
            connection.execute("NOTIFY sendroute, 'good morning'")
            connection.execute("NOTIFY sendroute, '999999'")
        assert not changes.wait(0.3)
        change(store, say)
        assert changes.wait(AT_ONCE)


def test_a_lost_connection_is_reported_once_and_the_watch_continues(
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
        assert changes.wait(LONG), "a commit may have been missed"
        assert not changes.wait(0.3)
        change(store, say)
        assert changes.wait(AT_ONCE)


def test_a_watch_continues_after_the_server_was_stopped(say: Any) -> None:
    provenance: Provenance = say.provenance
    with Cluster() as server:
        url = server.url(server.create_database())
        with init_store(url, provenance) as store, store.watch() as changes:
            server.stop()
            changed, took = seconds_of(lambda: changes.wait(0.5))
            assert not changed
            assert took < AT_ONCE
            server.start()
            assert changes.wait(LONG)
            assert not changes.wait(0.3)
            change(store, say)
            assert changes.wait(AT_ONCE)
