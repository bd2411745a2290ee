"""A leader that was replaced writes nothing more, on both databases."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from sendroute.model.account_status import AccountStatus, StatusReason, StatusReport
from sendroute.model.desired import AccountKey
from sendroute.model.problem import ProblemError
from sendroute.model.provenance import Provenance
from sendroute.store.record import Store, open_store

AT = datetime(2026, 11, 28, tzinfo=UTC)
KEY = AccountKey("acme", "acme")
STATUS = AccountStatus(KEY, StatusReason.HELD_BACK, StatusReport(), AT, "0123")
Write = Callable[[Store], object]


@pytest.mark.parametrize(
    "write",
    [
        lambda store: store.write_account_statuses([STATUS], []),
        lambda store: store.commit([], None, Provenance(AT, "old leader")),
        lambda store: store.approve(STATUS, Provenance(AT, "old leader")),
    ],
    ids=["a status", "a commit", "an approval"],
)
def test_only_the_newest_leader_writes(store: Store, store_url: str, write: Write) -> None:
    with open_store(store_url) as old, open_store(store_url) as new:
        old.fence(old.raise_epoch("old"))
        old.write_account_statuses([STATUS], [])
        before = store.head()
        new.fence(new.raise_epoch("new"))
        with pytest.raises(ProblemError) as refused:
            write(old)
        assert [item.code for item in refused.value.findings] == ["leader-replaced"]
        assert "new" in refused.value.findings[0].message
        assert store.head() == before
        assert store.account_statuses() == {KEY: STATUS}
        new.write_account_statuses([], [KEY])
    assert store.account_statuses() == {}


def test_each_leader_begins_a_later_epoch(store: Store) -> None:
    assert [store.raise_epoch("a"), store.raise_epoch("a"), store.raise_epoch("b")] == [1, 2, 3]


def test_other_writers_need_no_epoch(store: Store) -> None:
    store.raise_epoch("leader")
    store.write_account_statuses([STATUS], [])
    assert store.account_statuses() == {KEY: STATUS}


def test_the_next_leader_reads_what_the_last_writer_had_seen(store: Store, store_url: str) -> None:
    assert store.object_versions() == {}
    with open_store(store_url) as old, open_store(store_url) as new:
        epoch = old.raise_epoch("old")
        assert store.object_versions() == {}
        old.fence(epoch, {"SendingDomain": 7, "MailAccount": 12})
        assert store.object_versions() == {}, "nothing was written yet"
        old.write_account_statuses([STATUS], [])
        old.fence(epoch, {"SendingDomain": 9, "MailAccount": 12})
        new.raise_epoch("new")
        with pytest.raises(ProblemError):
            old.write_account_statuses([], [KEY])
        assert new.object_versions() == {"SendingDomain": 7, "MailAccount": 12}


def test_a_writer_that_has_seen_no_objects_forgets_no_versions(
    store: Store, store_url: str
) -> None:
    with open_store(store_url) as leader:
        leader.fence(leader.raise_epoch("leader"), {"SendingDomain": 7})
        leader.write_account_statuses([STATUS], [])
    store.write_account_statuses([], [KEY])
    store.fence(store.raise_epoch("another leader"))
    store.write_account_statuses([STATUS], [])
    assert store.object_versions() == {"SendingDomain": 7}
