"""Restoring an earlier state in place: the state is equal, and no id is used or run again."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.planner.histories import Step, histories
from tests.planner.test_histories import moments
from tests.planner.values import contents

from sendroute.model.account_status import AccountStatus, StatusReason, StatusReport
from sendroute.model.current import AccountState, Current, DomainState, RanApplyAll
from sendroute.model.outcome import Outcome
from sendroute.model.problem import StaleError
from sendroute.model.provenance import Head, Provenance
from sendroute.model.route import MANAGED, Origin, via
from sendroute.planner.plan import plan_tree
from sendroute.planner.restore import plan_restore
from sendroute.reconcile.commit import commit_plan
from sendroute.reconcile.restore import credentials_to_restore
from sendroute.store import lockfile
from sendroute.store.backups import backup_store, open_backup
from sendroute.store.create import init_store
from sendroute.store.record import Store
from sendroute.store.restore import RestorePoint
from sendroute.store.tables import relay

from .raw import opened

NANO = AccountState("nano")
SHADOWED = DomainState(via("ses"), Origin.APPLY_ALL, MANAGED, "move")
RAN = ("move", RanApplyAll(via("ses"), 1))


@pytest.fixture
def switched(store: Store, say: Any) -> Store:
    """A store with an account whose only domain is shadowed by an apply-all."""
    domain = say.domain("a.example", None, SHADOWED)
    made = say.plan(0, say.account(ran=RAN), say.profile("ses"), domain)
    store.commit([made], None, say.provenance, {say.key: {"ses": "first"}})
    return store


def delete(store: Store, say: Any, revision: int, **domains: DomainState) -> None:
    deletions = [say.domain(f"{name}.example", state, None) for name, state in domains.items()]
    profile = say.profile("ses", say.ses, None)
    store.commit(
        [say.plan(revision, say.account(NANO, None), profile, *deletions)], None, say.provenance
    )


def restore(store: Store, provenance: Provenance, source: Path) -> int:
    """Restore as the command does."""
    if source.suffix == ".lock":
        lock = lockfile.read(source)
        current, encrypted, head = lock.current(), {}, lock.head
    else:
        with open_backup(source) as opened:
            current, encrypted = Store(opened).read_with_credentials()
            head = Store(opened).head()
    now = store.read()
    planned = plan_restore(now, current)
    tokens = credentials_to_restore(planned.plan, encrypted)
    point = RestorePoint(head, source.name, planned.apply_alls, now.revision)
    return store.restore(planned.plan.accounts, planned.plan.platform, point, provenance, tokens)


def state(current: Current) -> Any:
    return current.platform, contents(current)


def test_a_restored_account_keeps_its_apply_alls(
    switched: Store, store_url: str, say: Any, tmp_path: Path
) -> None:
    """The account has a new row, and its domain is shadowed by an apply-all of the deleted row."""
    backup_store(store_url, tmp_path / "b.db")
    then = state(switched.read())
    delete(switched, say, 1, a=SHADOWED)
    assert restore(switched, say.provenance, tmp_path / "b.db") == 3
    assert state(switched.read()) == then
    delete(switched, say, 3, a=SHADOWED)
    switched.commit([say.start("b.example")], None, say.provenance)
    assert restore(switched, say.provenance, tmp_path / "b.db") == 6
    assert state(switched.read()) == then
    assert switched.history()[0].reason == "restored"
    assert [entry.reason for entry in switched.history(domain="a.example")][:1] == ["restored"]


def test_a_restored_profile_with_the_same_destination_keeps_its_credential(
    switched: Store, store_url: str, say: Any, tmp_path: Path
) -> None:
    backup_store(store_url, tmp_path / "b.db")
    noted = type(say.ses)(host=say.ses.host, port=587, encryption=say.ses.encryption, secret="ses",
                          display_name="Ireland")  # fmt: skip
    change = say.plan(1, say.profile("ses", say.ses, noted))
    switched.commit([change], None, say.provenance, {say.key: {"ses": "rotated"}})
    restore(switched, say.provenance, tmp_path / "b.db")
    assert switched.read_with_credentials()[1] == {say.key: {"ses": "rotated"}}
    delete(switched, say, 3, a=SHADOWED)
    restore(switched, say.provenance, tmp_path / "b.db")
    assert switched.read_with_credentials()[1] == {say.key: {"ses": "first"}}, (
        "a recreated profile gets the credential of the backup"
    )


def test_apply_all_ids_are_kept_by_a_restore_in_both_directions(
    switched: Store, store_url: str, say: Any, other: Any, tmp_path: Path
) -> None:
    backup_store(store_url, tmp_path / "early.db")
    later = ("later", RanApplyAll(MANAGED, 0))
    switched.commit([other.plan(0, other.account(ran=later))], None, say.provenance)
    backup_store(store_url, tmp_path / "late.db")
    restore(switched, say.provenance, tmp_path / "early.db")
    deleted = switched.read().accounts[other.key]
    assert (deleted.state, deleted.completed_apply_alls) == (None, dict([later]))
    # Forward: a store from the early backup gets the ids that ran in the lost store.
    url = f"sqlite:///{tmp_path}/again.db"
    with init_store(url, say.provenance, from_backup=tmp_path / "early.db") as again:
        assert other.key not in again.read().accounts
        restore(again, say.provenance, tmp_path / "late.db")
        assert again.read().accounts[other.key].completed_apply_alls == dict([later])
        assert again.read().accounts[other.key].state == NANO


def test_a_restore_is_stale_after_a_concurrent_commit(
    switched: Store, store_url: str, say: Any, other: Any, tmp_path: Path
) -> None:
    """Also if the commit is of another account: otherwise the restored state would differ."""
    backup_store(store_url, tmp_path / "b.db")
    now = switched.read()
    with open_backup(tmp_path / "b.db") as opened:
        point = RestorePoint(Store(opened).head(), "b.db", {}, now.revision)
    switched.commit([other.start("b.example")], None, say.provenance)
    with pytest.raises(StaleError):
        switched.restore((), None, point, say.provenance)
    assert switched.read().revision == 2


@pytest.fixture
def locked(switched: Store, tmp_path: Path) -> Head:
    """The commit of a lock file that was just written."""
    switched.write_lock(tmp_path / "sendroute.lock")
    return switched.head()


def test_what_a_lock_file_does_not_hold_leaves_it_fresh(
    switched: Store, locked: Head, say: Any
) -> None:
    """A new key, an approval, and a credential with new content."""
    assert switched.rekey(lambda token, _: token.upper(), say.provenance).count == 1
    held = AccountStatus(say.key, StatusReason.HELD_BACK, StatusReport(), datetime.now(UTC), "d1")
    switched.write_account_statuses([held], ())
    assert switched.approve(held, say.provenance)
    rotated = say.plan(1, say.profile("ses", say.ses, say.ses))
    switched.commit([rotated], None, say.provenance, {say.key: {"ses": "rotated"}})
    assert switched.head().revision == locked.revision + 3
    assert not switched.is_changed_since(locked)


@pytest.mark.parametrize("change", ["a domain", "an apply-all", "a switch", "the platform"])
def test_what_a_lock_file_holds_makes_it_stale(
    switched: Store, locked: Head, say: Any, change: str
) -> None:
    managed = DomainState(MANAGED, Origin.DEFAULT)
    later = say.account(NANO, NANO, ("later", RanApplyAll(via("ses"), 1)))
    moved = DomainState(via("ses"), Origin.APPLY_ALL, MANAGED, "later")
    changes = {
        "a domain": [say.domain("b.example", None, managed)],
        "an apply-all": [later],
        "a switch": [later, say.domain("a.example", SHADOWED, moved)],
        "the platform": [],
    }
    platform = say.platform_change(None, say.platform) if change == "the platform" else None
    plans = [say.plan(1, *changes[change])] if changes[change] else []
    switched.commit(plans, platform, say.provenance)
    assert switched.is_changed_since(locked)


def test_a_lock_file_is_fresh_after_a_restore_to_it(
    switched: Store, locked: Head, say: Any, tmp_path: Path
) -> None:
    delete(switched, say, 1, a=SHADOWED)
    assert switched.is_changed_since(locked)
    restore(switched, say.provenance, tmp_path / "sendroute.lock")
    assert not switched.is_changed_since(locked)
    managed = DomainState(MANAGED, Origin.DEFAULT)
    revision = switched.read().accounts[say.key].revision
    switched.commit(
        [say.plan(revision, say.domain("b.example", None, managed))], None, say.provenance
    )
    assert switched.is_changed_since(locked)


def test_the_entry_of_a_restore_has_its_revision_as_data(
    switched: Store, locked: Head, say: Any, tmp_path: Path
) -> None:
    delete(switched, say, 1, a=SHADOWED)
    restore(switched, say.provenance, tmp_path / "sendroute.lock")
    (entry,) = (item for item in switched.history() if item.kind == "Store" and item.after)
    assert entry.after == {"revision": locked.revision}


@pytest.mark.parametrize(
    ("after", "message", "is_found"),
    [
        ('{"revision":NUMBER}', "Any words.", True),
        ('{"revision":999}', "It was restored to x.lock, revision NUMBER.", False),
        (None, "It was restored to x.lock, revision NUMBER.", True),
        (None, "Any words.", False),
    ],
)
def test_a_restore_is_found_by_its_data_and_in_an_earlier_version_by_its_message(
    switched: Store,
    locked: Head,
    say: Any,
    store_url: str,
    after: str | None,
    message: str,
    is_found: bool,
) -> None:
    delete(switched, say, 1, a=SHADOWED)
    texts = (text and text.replace("NUMBER", str(locked.revision)) for text in (after, message))
    values = ", ".join("NULL" if text is None else f"'{text}'" for text in texts)
    columns = "revision, namespace, account, kind, name, action, reason, after, message"
    row = f"max(revision), '', '', 'Store', '', 'update', 'restored', {values}"
    with opened(store_url) as raw:
        raw.execute(f"INSERT INTO history ({columns}) SELECT {row} FROM history")  # noqa: S608
    assert switched.is_changed_since(locked) is not is_found


@pytest.mark.parametrize("copy", ["from_lock", "from_backup"])
def test_a_lock_file_is_fresh_in_a_store_that_was_created_from_it(
    store_url: str, say: Any, tmp_path: Path, copy: str
) -> None:
    lost = f"sqlite:///{tmp_path}/lost.db"
    with init_store(lost, say.provenance) as store:
        store.commit([say.start("a.example")], None, say.provenance)
        store.write_lock(tmp_path / "sendroute.lock")
        head = store.head()
        backup_store(lost, tmp_path / "b.db")
    source = tmp_path / ("sendroute.lock" if copy == "from_lock" else "b.db")
    with init_store(store_url, say.provenance, **{copy: source}) as again:
        assert again.head().revision == head.revision + 1
        assert not again.is_changed_since(head)
        managed = DomainState(MANAGED, Origin.DEFAULT)
        revision = again.read().accounts[say.key].revision
        change = say.plan(revision, say.domain("b.example", None, managed))
        again.commit([change], None, say.provenance)
        assert again.is_changed_since(head)


def _lock(store: Store, _url: str, directory: Path) -> Path:
    store.write_lock(directory / "late.lock")
    return directory / "late.lock"


def _backup(_store: Store, url: str, directory: Path) -> Path:
    backup_store(url, directory / "late.db")
    return directory / "late.db"


@pytest.mark.parametrize("take", [_lock, _backup], ids=["a lock file", "a backup"])
def test_a_store_from_an_older_backup_can_restore_a_newer_state(
    switched: Store, store_url: str, say: Any, tmp_path: Path, take: Callable[..., Path]
) -> None:
    backup_store(store_url, tmp_path / "early.db")
    early = switched.head()
    for number in range(5):
        change = say.domain(f"n{number}.example", None, DomainState(MANAGED, Origin.DEFAULT))
        switched.commit([say.plan(number + 1, change)], None, say.provenance)
    late, then = take(switched, store_url, tmp_path), state(switched.read())
    lost = switched.head()
    url = f"sqlite:///{tmp_path}/again.db"
    with init_store(url, say.provenance, from_backup=tmp_path / "early.db") as again:
        assert (again.read().revision, again.contains(early), again.contains(lost)) == (
            2,
            True,
            False,
        )
        again._database.write(
            lambda connection: connection.execute(
                relay.insert().values(name="mx1", revision=6, seen_at=say.provenance.at)
            )
        )
        assert restore(again, say.provenance, late) == 7, (
            "above the last revision of the lost store"
        )
        assert (state(again.read()), again.contains(lost)) == (then, True)
        assert again.relays() == ()
        [profile] = again.profiles()
        assert (profile.id, profile.version) == (1, 2001), "1000 for each history that was left"
        assert restore(again, say.provenance, late) == 8
        assert again.profiles() == [profile], "the state is in its history"


def test_a_lock_file_of_another_history_with_the_same_revision_is_recognised(
    switched: Store, store_url: str, say: Any, other: Any, tmp_path: Path
) -> None:
    backup_store(store_url, tmp_path / "early.db")
    switched.commit([other.start("lost.example")], None, say.provenance)
    switched.write_lock(tmp_path / "x.lock")
    lost = lockfile.read(tmp_path / "x.lock").head
    url = f"sqlite:///{tmp_path}/again.db"
    with init_store(url, say.provenance, from_backup=tmp_path / "early.db") as again:
        assert again.read().revision == lost.revision
        assert not again.contains(lost)
    with init_store(
        f"sqlite:///{tmp_path}/l.db", say.provenance, from_lock=tmp_path / "x.lock"
    ) as made:
        assert made.contains(lost)


def test_a_lock_file_of_format_1_1_has_a_commit_id(
    switched: Store, say: Any, tmp_path: Path
) -> None:
    switched.write_lock(tmp_path / "x.lock")
    document = json.loads((tmp_path / "x.lock").read_text())
    document["attempt"] = document.pop("commit_id")
    document["format_version"] = "1.1"
    del document["digest"]
    (tmp_path / "x.lock").write_text(json.dumps(document))
    lock = lockfile.read(tmp_path / "x.lock")
    assert lock.head == switched.head()
    url = f"sqlite:///{tmp_path}/new.db"
    with init_store(url, say.provenance, from_lock=tmp_path / "x.lock") as created:
        assert created.contains(switched.head())


# Random histories


@pytest.fixture(scope="module")
def new_urls(
    cluster: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], str]]:
    """Creates the URL of a new store in the given database."""
    made: list[str] = []

    def new_url(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path_factory.mktemp('store')}/s.db"
        made.append(cluster.create_database())
        return str(cluster.url(made[-1]))

    yield new_url
    for name in made:
        cluster.drop_database(name)


STAMP = Provenance(datetime(2026, 11, 1, tzinfo=UTC), "t")


@pytest.mark.parametrize("kinds", [("sqlite", "postgresql"), ("postgresql", "sqlite")])
@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)
@given(history=histories(5), choice=st.integers(0))
def test_any_history_is_copied_to_the_other_database_and_restored(
    new_urls: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
    kinds: tuple[str, str],
    history: list[Step],
    choice: int,
) -> None:
    directory = tmp_path_factory.mktemp("backups")
    first, second = new_urls(kinds[0]), new_urls(kinds[1])
    with ExitStack() as opened:
        store = opened.enter_context(init_store(first, STAMP))
        states, steps = [], list(moments(history))
        for number, now in enumerate(steps):
            apply_moment(store, now)
            backup_store(first, directory / f"{number}.db")
            states.append(state(store.read()))
        last = len(steps) - 1
        moved = opened.enter_context(
            init_store(second, STAMP, from_backup=directory / f"{last}.db")
        )
        assert state(moved.read()) == states[-1]
        assert moved.routes() == store.routes()
        assert moved.history()[1:] == store.history()
        chosen = choice % len(steps)
        restore(moved, STAMP, directory / f"{chosen}.db")
        assert without_ids(moved.read()) == drop_ids(states[chosen])
        backup_store(second, directory / "again.db")
        with open_backup(directory / "again.db") as copy:
            assert state(Store(copy).read()) == state(moved.read())
        again = plan_restore(
            moved.read(), Store(opened_backup(opened, directory / "again.db")).read()
        )
        assert again.is_empty
        assert moved.history()[-len(store.history()) :] == store.history()


def opened_backup(opened: ExitStack, path: Path) -> Any:
    return opened.enter_context(open_backup(path))


def apply_moment(store: Store, now: Any) -> None:
    def decide() -> Any:
        plan = plan_tree(now.desired, store.read(), failed=now.failed)
        return SimpleNamespace(plan=plan, latest=(), encrypt=lambda *_: {})

    result = commit_plan(store, decide(), STAMP, replan=decide)
    assert all(done.outcome is not Outcome.SKIPPED for done in result.accounts)


def without_ids(current: Current) -> Any:
    return drop_ids(state(current))


def drop_ids(state: Any) -> Any:
    platform, accounts = state
    return platform, {
        key: (account.state, account.profiles, account.domains)
        for key, account in accounts.items()
        if account.state is not None
    }
