"""Who waits for whom where several write at once, on PostgreSQL."""

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
    """Two accounts with a profile each."""
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
    with psycopg.connect(url, autocommit=True) as own:
        own.execute("SET search_path = sendroute")
        yield own


def grow(store: Store, say: Say, *names: str) -> int:
    current = store.read().accounts[say.key]
    made = [say.domain(name, None, DomainState(MANAGED, Origin.DEFAULT)) for name in names]
    return store.commit([say.plan(current.revision, *made)], None, say.provenance)


def test_a_long_change_of_one_account_keeps_no_other_waiting(
    store: Store, raw: psycopg.Connection, say: Any, other: Any
) -> None:
    raw.execute("BEGIN")
    raw.execute("UPDATE account SET plan = 'big' WHERE name = 'acme'")
    assert grow(store, other, "c.example") == 3
    with pytest.raises(ProblemError) as caught:
        grow(store, say, "d.example")
    assert [found.code for found in caught.value.findings] == ["store-locked"]
    raw.execute("ROLLBACK")
    assert grow(store, say, "d.example") == 4


def test_a_long_change_that_makes_a_profile_keeps_no_other_waiting(
    store: Store, url: str, raw: psycopg.Connection, say: Any, other: Any
) -> None:
    """It is held up by a domain that somebody else is about to take."""
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
        with psycopg.connect(url, autocommit=True) as own:
            until(own, WAITING)
        store.commit([other.plan(2, other.profile("theirs"))], None, say.provenance)
        grow(store, other, "d.example")
        raw.execute("ROLLBACK")
        assert long.result() == 5
    assert [(one.name, one.id) for one in store.profiles()] == [
        ("new", 3),
        ("ses", 1),
        ("ses", 2),
        ("theirs", 4),
    ]
    assert raw.execute("SELECT last_profile FROM store").fetchall() == [(4,)]


def test_an_id_that_another_overtook_is_not_used(
    store: Store, raw: psycopg.Connection, say: Any
) -> None:
    """Taken, and before its row is written a later one is committed: it could be one given long
    ago."""
    raw.execute("UPDATE store SET last_profile = 3")
    change = [say.plan(1, say.profile("new"))]
    store.commit(change, None, say.provenance)
    assert [one.id for one in store.profiles() if one.name == "new"] == [4]


def test_no_patience_is_none(url: str, raw: psycopg.Connection, say: Any) -> None:
    raw.execute("BEGIN")
    raw.execute("UPDATE account SET plan = 'big' WHERE name = 'acme'")
    with open_store(url, busy_timeout=0) as store, pytest.raises(ProblemError, match="in use"):
        grow(store, say, "c.example")
    raw.execute("ROLLBACK")


def test_two_that_would_wait_for_each_other_both_get_through(
    url: str, raw: psycopg.Connection, say: Any
) -> None:
    """The server ends one of them; that one is the program's, and it tries again."""
    raw.execute("SET deadlock_timeout = '1min'")  # so it is not this one that looks first
    raw.execute("BEGIN")
    raw.execute("UPDATE store SET last_profile = last_profile")
    with open_store(url) as store, ThreadPoolExecutor(1) as pool:
        done = pool.submit(grow, store, say, "c.example", "d.example")
        with psycopg.connect(url, autocommit=True) as own:
            until(own, WAITING)
        raw.execute("UPDATE account SET plan = 'big' WHERE name = 'acme'")
        raw.execute("ROLLBACK")
        assert done.result() == 3
        assert len(store.history(domain="c.example")) == 1
        assert sorted(store.holders(["c.example", "d.example"])) == ["c.example", "d.example"]


def test_of_two_that_claim_the_same_domains_at_once_one_is_stale(
    url: str, say: Any, other: Any
) -> None:
    """In the order that lets them meet."""
    names = [f"n{number:04}.example" for number in range(3000)]

    def claim(who: Say, order: list[str]) -> int | str:
        with open_store(url) as store:
            try:
                return grow(store, who, *order)
            except StaleError:
                return "stale"

    with ThreadPoolExecutor(2) as pool:
        said = [
            done.result()
            for done in (pool.submit(claim, say, names), pool.submit(claim, other, names[::-1]))
        ]
    assert sorted(map(str, said)) == ["3", "stale"]
    with open_store(url) as store:
        assert len(set(store.holders(names).values())) == 1


def test_no_credential_of_the_old_key_slips_in_during_a_rekey(
    url: str, raw: psycopg.Connection, say: Any, other: Any
) -> None:
    with open_store(url) as store, open_store(url) as writer, ThreadPoolExecutor(1) as pool:
        begun: list[Any] = []

        def anew(token: str, _bond: Any) -> str:
            def arrive() -> int:
                made = other.plan(2, other.profile("late"))
                return writer.commit([made], None, say.provenance, {other.key: {"late": "sealed"}})

            begun.append(pool.submit(arrive))
            until(raw, WAITING)
            return token.upper()

        assert store.rekey(anew, say.provenance) == 1
        assert begun[0].result() == 4, "after the rekeying, which is 3"
        told = {one.binding.profile: one.credential for one in store.endpoints() if one.credential}
    assert told == {"ses": "OLD", "late": "sealed"}


def test_a_rekey_waits_for_a_writer_in_the_middle(
    store: Store, raw: psycopg.Connection, url: str, say: Any
) -> None:
    """Held up at its last act, the writer keeps its share in the store."""
    raw.execute("BEGIN")
    raw.execute("UPDATE store SET last_profile = last_profile")
    with open_store(url) as writer, ThreadPoolExecutor(1) as pool:
        done = pool.submit(grow, writer, say, "c.example")
        with psycopg.connect(url, autocommit=True) as own:
            until(own, WAITING)
        with pytest.raises(ProblemError, match="in use by another writer"):
            store.rekey(lambda token, _: token, say.provenance)
        raw.execute("ROLLBACK")
        assert done.result() == 3
    assert store.rekey(lambda token, _: token, say.provenance) == 1


def test_rows_that_somebody_reads_are_not_waited_for_long_after_a_rekey(
    store: Store,
    raw: psycopg.Connection,
    say: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(database, "_VACUUM_TIMEOUT", 0.0)
    raw.execute("BEGIN")
    raw.execute("SELECT * FROM endpoint")
    assert store.rekey(lambda token, _: token.upper(), say.provenance) == 1
    assert "old rows remain" in caplog.text
    caplog.clear()
    raw.execute("ROLLBACK")
    files = "SELECT pg_relation_filenode('endpoint')"
    before = raw.execute(files).fetchone()
    assert store.rekey(lambda token, _: token.lower(), say.provenance) == 1
    assert not caplog.text
    assert raw.execute(files).fetchone() != before, "written anew"


def test_who_begins_first_and_ends_last_has_the_later_revision(
    store: Store, url: str, raw: psycopg.Connection, say: Any, other: Any
) -> None:
    """Held up amid its change by a domain that somebody else is about to take. Whoever has seen a
    revision meanwhile, and asks what came after it, must hear of that change."""
    raw.execute("BEGIN")
    raw.execute(
        "INSERT INTO domain SELECT 'c.example', account_id, 'managed', NULL, 'default', NULL, NULL,"
        " NULL, since, changed FROM domain WHERE name = 'b.example'"
    )
    with open_store(url) as writer, ThreadPoolExecutor(1) as pool:
        long = pool.submit(grow, writer, say, "c.example")
        with psycopg.connect(url, autocommit=True) as own:
            until(own, WAITING)
        assert grow(store, other, "d.example") == store.read().revision == 3
        assert {entry.revision for entry in store.history()} == {0, 1, 2, 3}
        assert store.changed_since(3) == {}
        raw.execute("ROLLBACK")
        assert long.result() == 4
    assert store.changed_since(3) == {say.key: 4}


def test_a_revision_is_seen_only_after_all_before_it(url: str, say: Any, other: Any) -> None:
    """Two accounts written at once, and a reader that must never see a gap."""
    ended = threading.Event()

    def write(who: Say) -> None:
        with open_store(url) as store:
            for number in range(25):
                grow(store, who, f"{who.key.name}{number}.example")

    def look() -> list[tuple[int, int]]:
        seen = []
        with psycopg.connect(url, autocommit=True) as own:
            while not ended.is_set():
                row = own.execute(
                    "SELECT store.revision, count(revision.number) FROM sendroute.store AS store"
                    " CROSS JOIN sendroute.revision AS revision GROUP BY store.revision"
                ).fetchone()
                assert row is not None
                seen.append((row[0], row[1]))
        return seen

    with ThreadPoolExecutor(3) as pool:
        reader = pool.submit(look)
        for done in [pool.submit(write, say), pool.submit(write, other)]:
            done.result()
        ended.set()
        seen = reader.result()
    assert seen[-1][0] > 2
    assert all(count == revision + 1 for revision, count in seen)
