"""Concurrent writers on PostgreSQL: which of them wait for each other."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from sendroute.model.current import DomainState
from sendroute.model.problem import ProblemError, StaleError
from sendroute.model.route import MANAGED, Origin
from sendroute.store.create import init_store
from sendroute.store.postgres import database
from sendroute.store.record import Store, open_store

from .conftest import Say
from .test_lost_connections import until

WAITING = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"


@pytest.fixture
def url(postgres_url: str, say: Any, other: Any) -> str:
    """A store with two accounts, each with a profile."""
    with init_store(postgres_url, say.provenance) as store:
        store.commit([say.start("a.example")], None, say.provenance, {say.key: {"ses": "old"}})
        store.commit([other.start("b.example")], None, say.provenance)
    return postgres_url


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with open_store(url, busy_timeout=0.2) as opened:
        yield opened


@pytest.fixture
def raw(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET search_path = sendroute")
        yield connection


def grow(store: Store, say: Say, *names: str) -> int:
    current = store.read().accounts[say.key]
    made = [say.domain(name, None, DomainState(MANAGED, Origin.DEFAULT)) for name in names]
    return store.commit([say.plan(current.revision, *made)], None, say.provenance)


def test_a_long_change_of_one_account_does_not_block_others(
    store: Store, raw: psycopg.Connection, say: Any, other: Any
) -> None:
    raw.execute("BEGIN")
    raw.execute("UPDATE account SET plan = 'big' WHERE name = 'acme'")
    assert grow(store, other, "c.example") == 3
    with pytest.raises(ProblemError) as caught:
        grow(store, say, "d.example")
    assert [finding.code for finding in caught.value.findings] == ["store-locked"]
    raw.execute("ROLLBACK")
    assert grow(store, say, "d.example") == 4


def test_a_long_change_that_creates_a_profile_does_not_block_others(
    store: Store, url: str, raw: psycopg.Connection, say: Any, other: Any
) -> None:
    """The change waits for a domain that another process is inserting."""
    raw.execute("BEGIN")
    raw.execute(
        "INSERT INTO domain SELECT 'c.example', account_id, 'managed', NULL, 'default', NULL, NULL,"
        " NULL, since, changed FROM domain WHERE name = 'b.example'"
    )
    made = say.domain("c.example", None, say.through("new"))
    with open_store(url) as writer, ThreadPoolExecutor(1) as pool:
        long = pool.submit(
            writer.commit, [say.plan(1, say.profile("new"), made)], None, say.provenance
        )
        with psycopg.connect(url, autocommit=True) as connection:
            until(connection, WAITING)
        store.commit([other.plan(2, other.profile("theirs"))], None, say.provenance)
        grow(store, other, "d.example")
        raw.execute("ROLLBACK")
        assert long.result() == 5
    assert [(profile.name, profile.id) for profile in store.profiles()] == [
        ("new", 3),
        ("ses", 1),
        ("ses", 2),
        ("theirs", 4),
    ]
    assert raw.execute("SELECT last_profile FROM store").fetchall() == [(4,)]


def test_an_id_is_not_used_after_a_later_id_was_committed(
    store: Store, raw: psycopg.Connection, say: Any
) -> None:
    """Another process commits a later id before the row with this id is written, so this id might
    have been used before."""
    raw.execute("UPDATE store SET last_profile = 3")
    change = [say.plan(1, say.profile("new"))]
    store.commit(change, None, say.provenance)
    assert [profile.id for profile in store.profiles() if profile.name == "new"] == [4]


def test_a_busy_timeout_of_zero_does_not_wait(url: str, raw: psycopg.Connection, say: Any) -> None:
    raw.execute("BEGIN")
    raw.execute("UPDATE account SET plan = 'big' WHERE name = 'acme'")
    with open_store(url, busy_timeout=0) as store, pytest.raises(ProblemError, match="in use"):
        grow(store, say, "c.example")
    raw.execute("ROLLBACK")


def test_both_changes_of_a_deadlock_are_committed(
    url: str, raw: psycopg.Connection, say: Any
) -> None:
    """The server aborts the transaction of the store, and the store retries it."""
    raw.execute("SET deadlock_timeout = '1min'")  # so that the other one detects it first
    raw.execute("BEGIN")
    raw.execute("UPDATE store SET last_profile = last_profile")
    with open_store(url) as store, ThreadPoolExecutor(1) as pool:
        done = pool.submit(grow, store, say, "c.example", "d.example")
        with psycopg.connect(url, autocommit=True) as connection:
            until(connection, WAITING)
        raw.execute("UPDATE account SET plan = 'big' WHERE name = 'acme'")
        raw.execute("ROLLBACK")
        assert done.result() == 3
        assert len(store.history(domain="c.example")) == 1
        assert sorted(store.holders(["c.example", "d.example"])) == ["c.example", "d.example"]


def test_one_of_two_concurrent_claims_of_the_same_domains_is_stale(
    url: str, say: Any, other: Any
) -> None:
    """The two writers insert the domains in opposite order."""
    names = [f"n{number:04}.example" for number in range(3000)]

    def claim(writer: Say, order: list[str]) -> int | str:
        with open_store(url) as store:
            try:
                return grow(store, writer, *order)
            except StaleError:
                return "stale"

    with ThreadPoolExecutor(2) as pool:
        results = [
            done.result()
            for done in (pool.submit(claim, say, names), pool.submit(claim, other, names[::-1]))
        ]
    assert sorted(map(str, results)) == ["3", "stale"]
    with open_store(url) as store:
        assert len(set(store.holders(names).values())) == 1


def test_a_commit_during_a_rekey_waits_until_it_is_done(
    url: str, raw: psycopg.Connection, say: Any, other: Any
) -> None:
    with open_store(url) as store, open_store(url) as writer, ThreadPoolExecutor(1) as pool:
        begun: list[Any] = []

        def reencrypt(token: str, _binding: Any) -> str:
            def write_late() -> int:
                made = other.plan(2, other.profile("late"))
                return writer.commit(
                    [made], None, say.provenance, {other.key: {"late": "encrypted"}}
                )

            begun.append(pool.submit(write_late))
            until(raw, WAITING)
            return token.upper()

        assert store.rekey(reencrypt, say.provenance).count == 1
        assert begun[0].result() == 4, "after the rekey, which is revision 3"
        stored = {e.binding.profile: e.credential for e in store.endpoints() if e.credential}
    assert stored == {"ses": "OLD", "late": "encrypted"}


def test_a_rekey_waits_for_a_writer(
    store: Store, raw: psycopg.Connection, url: str, say: Any
) -> None:
    """A writer that waits at its last statement keeps its shared lock of the store."""
    raw.execute("BEGIN")
    raw.execute("UPDATE store SET last_profile = last_profile")
    with open_store(url) as writer, ThreadPoolExecutor(1) as pool:
        done = pool.submit(grow, writer, say, "c.example")
        with psycopg.connect(url, autocommit=True) as connection:
            until(connection, WAITING)
        with pytest.raises(ProblemError, match="in use by another writer"):
            store.rekey(lambda token, _: token, say.provenance)
        raw.execute("ROLLBACK")
        assert done.result() == 3
    assert store.rekey(lambda token, _: token, say.provenance).count == 1


def test_a_rekey_does_not_wait_long_for_readers_of_old_rows(
    store: Store,
    raw: psycopg.Connection,
    say: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(database, "_VACUUM_TIMEOUT", 0.0)
    raw.execute("BEGIN")
    raw.execute("SELECT * FROM endpoint")
    assert store.rekey(lambda token, _: token.upper(), say.provenance).count == 1
    assert "old rows remain" in caplog.text
    caplog.clear()
    raw.execute("ROLLBACK")
    files = "SELECT pg_relation_filenode('endpoint')"
    before = raw.execute(files).fetchone()
    assert store.rekey(lambda token, _: token.lower(), say.provenance).count == 1
    assert not caplog.text
    assert raw.execute(files).fetchone() != before, "the table was rewritten"


def test_the_transaction_that_commits_last_has_the_later_revision(
    store: Store, url: str, raw: psycopg.Connection, say: Any, other: Any
) -> None:
    """The first change waits for a domain that another process is inserting. A reader that has seen
    a revision in between, and asks what changed after it, must get the first change."""
    raw.execute("BEGIN")
    raw.execute(
        "INSERT INTO domain SELECT 'c.example', account_id, 'managed', NULL, 'default', NULL, NULL,"
        " NULL, since, changed FROM domain WHERE name = 'b.example'"
    )
    with open_store(url) as writer, ThreadPoolExecutor(1) as pool:
        long = pool.submit(grow, writer, say, "c.example")
        with psycopg.connect(url, autocommit=True) as connection:
            until(connection, WAITING)
        assert grow(store, other, "d.example") == store.read().revision == 3
        assert {entry.revision for entry in store.history()} == {0, 1, 2, 3}
        assert store.changed_since(3) == {}
        raw.execute("ROLLBACK")
        assert long.result() == 4
    assert store.changed_since(3)[say.key].revision == 4


def test_revisions_become_visible_in_order(url: str, say: Any, other: Any) -> None:
    """Two accounts are written concurrently; a reader must never see a gap."""
    ended = threading.Event()

    def write(writer: Say) -> None:
        with open_store(url) as store:
            for number in range(25):
                grow(store, writer, f"{writer.key.name}{number}.example")

    def read_revisions() -> list[tuple[int, int]]:
        seen = []
        with psycopg.connect(url, autocommit=True) as connection:
            while not ended.is_set():
                row = connection.execute(
                    "SELECT store.revision, count(revision.number) FROM sendroute.store AS store"
                    " CROSS JOIN sendroute.revision AS revision GROUP BY store.revision"
                ).fetchone()
                assert row is not None
                seen.append((row[0], row[1]))
        return seen

    with ThreadPoolExecutor(3) as pool:
        reader = pool.submit(read_revisions)
        for done in [pool.submit(write, say), pool.submit(write, other)]:
            done.result()
        ended.set()
        seen = reader.result()
    assert seen[-1][0] > 2
    assert all(count == revision + 1 for revision, count in seen)
