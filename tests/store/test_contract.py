"""The behaviour of a store that is the same in each database."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sendroute.model.ancestry import AppliedCommit
from sendroute.model.current import AccountState, DomainState, RanApplyAll
from sendroute.model.desired import AccountKey, ProfileName
from sendroute.model.problem import ProblemError, StaleError
from sendroute.model.route import MANAGED, UNCONFIGURED, Origin, via
from sendroute.store.backups import backup_store
from sendroute.store.create import init_store
from sendroute.store.record import Store, open_store


def test_a_new_store_is_empty_and_records_its_creation(store: Store) -> None:
    current = store.read()
    assert current.revision == 0
    assert current.platform is None
    assert current.accounts == {}
    made = store.history()[-1]
    assert (made.kind, made.reason, made.actor) == ("Store", "initialised", "ada")
    assert store.relays() == ()


def test_a_committed_change_is_read_back(store: Store, say: Any) -> None:
    account = AccountState("pro", default=via("ses"))
    state = DomainState(via("ses"), Origin.DECLARED, via("ses"), overrides="to-ses")
    change = say.platform_change(None, say.platform)
    revision = store.commit(
        [
            say.plan(
                0,
                say.account(None, account),
                say.profile("ses"),
                say.domain("shop.example", None, state),
                say.domain("blog.example", None, DomainState(UNCONFIGURED, Origin.DEFAULT)),
            )
        ],
        change,
        say.provenance,
    )
    current = store.read()
    assert current.revision == revision == 1
    assert current.platform == say.platform
    stored = current.accounts[say.key]
    assert (stored.revision, stored.state, stored.profiles) == (1, account, {"ses": say.ses})
    assert stored.domains == {
        "shop.example": state,
        "blog.example": DomainState(UNCONFIGURED, Origin.DEFAULT),
    }


def test_the_logins_of_an_account_are_kept_everywhere(
    store: Store, store_url: str, say: Any, tmp_path: Path
) -> None:
    def state_in(other: Store) -> AccountState | None:
        return other.read().accounts[say.key].state

    named = AccountState("nano", logins=("acme-app", "acme-crm"))
    store.commit([say.plan(0, say.account(None, named))], None, say.provenance)
    assert state_in(store) == named
    assert store.history()[0].after == {
        "plan": "nano",
        "submission": {"logins": ["acme-app", "acme-crm"]},
    }
    with store.export_stream() as exported:
        assert [account.state for account in exported.accounts] == [named]
    store.write_lock(tmp_path / "sendroute.lock")
    backup_store(store_url, tmp_path / "backup")
    saved: dict[str, Any] = {
        "from_lock": tmp_path / "sendroute.lock",
        "from_backup": tmp_path / "backup",
    }
    for name, path in saved.items():
        url = f"sqlite:///{tmp_path}/{name}.db"
        with init_store(url, say.provenance, **{name: path}) as again:
            assert state_in(again) == named
    removed = AccountState("nano")
    store.commit([say.plan(1, say.account(named, removed))], None, say.provenance)
    assert state_in(store) == removed


def test_a_removed_account_is_found_by_its_name(store: Store, say: Any, other: Any) -> None:
    state = AccountState("nano")
    for account in (say, other):
        store.commit([account.plan(0, account.account(None, state))], None, say.provenance)
    assert store.removed_accounts_named(say.key.name) == frozenset()
    store.commit([say.plan(1, say.account(state, None))], None, say.provenance)
    assert store.removed_accounts_named(say.key.name) == {say.key}
    assert store.removed_accounts_named(other.key.name) == frozenset()
    assert store.removed_accounts_named("nobody") == frozenset()


def test_status_counts_the_accounts_with_domains_that_name_no_logins(
    store: Store, say: Any, other: Any
) -> None:
    named = AccountState("nano", logins=("app",))
    store.commit([say.start("a.example", "b.example")], None, say.provenance)
    store.commit([other.plan(0, other.account())], None, say.provenance)
    assert store.status().accounts_without_logins == 1, "the other account has no domain"
    store.commit([say.plan(1, say.account(AccountState("nano"), named))], None, say.provenance)
    assert store.status().accounts_without_logins == 0


def test_a_closed_store_refuses_every_use_and_opens_nothing_again(store: Store, say: Any) -> None:
    store.close()
    store.close()
    for use in (
        store.read,
        store.head,
        store.__enter__,
        store.watch,
        store.snapshot().__enter__,
        store.export_stream().__enter__,
        lambda: store.commit([say.start("shop.example")], None, say.provenance),
    ):
        with pytest.raises(ValueError, match=r"The store .* is closed"):
            use()
    assert store.location, "messages can name it still"


def test_another_process_opens_the_same_state(store: Store, store_url: str, say: Any) -> None:
    store.commit([say.start("shop.example")], None, say.provenance)
    with open_store(store_url) as again:
        assert again.read() == store.read()


def test_reading_some_accounts_returns_only_them_and_all_holders(
    store: Store, say: Any, other: Any
) -> None:
    store.commit([say.start("a.example")], None, say.provenance)
    store.commit([other.start("b.example")], None, say.provenance)
    assert list(store.read({say.key}).accounts) == [say.key]
    assert store.read({say.key}).accounts[say.key] == store.read().accounts[say.key]
    names = ["a.example", "b.example", "nobody.example"]
    assert store.holders(names) == {"a.example": say.key, "b.example": other.key}
    assert store.accounts() == [say.key, other.key]


def test_a_snapshot_of_some_accounts_equals_the_full_read(
    store: Store, say: Any, other: Any
) -> None:
    ran = ("once", RanApplyAll(MANAGED, 1))
    store.commit(
        [say.plan(0, say.account(ran=ran), say.profile("ses"))],
        None,
        say.provenance,
        {say.key: {"ses": "encrypted"}},
    )
    store.commit([other.start("b.example")], None, say.provenance, {other.key: {"ses": "others"}})
    whole, encrypted = store.read_with_credentials()
    unknown = AccountKey("nobody", "nobody")
    with store.snapshot() as snapshot:
        current = snapshot.read_accounts({say.key, unknown})
        assert current.accounts == {say.key: whole.accounts[say.key]}
        assert (current.lineage, current.revision) == (whole.lineage, whole.revision)
        assert current.platform == whole.platform
        assert snapshot.encrypted({say.key}) == {say.key: encrypted[say.key]}
        assert snapshot.read_accounts(set()).accounts == {}
        assert snapshot.domains_by_account() == {other.key: 1}
        assert snapshot.domain_count() == 1
        assert snapshot.accounts_on_managed() == {other.key}
        ses = ProfileName(say.key.namespace, "ses")
        unheld = {ProfileName(say.key.namespace, "gone"), ProfileName("nobody", "ses")}
        assert snapshot.profile_holders({ses, *unheld}) == {ses: {say.key}}
        assert snapshot.profile_holders(unheld) == {}


def test_a_snapshot_does_not_change_with_later_commits(store: Store, say: Any, other: Any) -> None:
    store.commit([say.start("a.example")], None, say.provenance)
    with store.snapshot() as snapshot:
        before = snapshot.read_accounts({say.key})
        store.commit([other.start("b.example")], None, say.provenance)
        assert snapshot.holders(["a.example", "b.example"]) == {"a.example": say.key}
        assert snapshot.read_accounts({say.key, other.key}) == before


def test_holders_of_more_names_than_one_statement_allows(store: Store, say: Any) -> None:
    names = [f"d{number:05d}.example" for number in range(0, 50_000, 7)]
    store.commit([say.start(*names)], None, say.provenance)
    asked = [f"d{number:05d}.example" for number in range(50_000)]
    assert store.holders(asked) == dict.fromkeys(names, say.key)


def test_equal_states_are_the_same_object(store: Store, say: Any) -> None:
    store.commit([say.start("a.example", "b.example")], None, say.provenance)
    domains = store.read().accounts[say.key].domains
    assert domains["a.example"] is domains["b.example"]


def test_an_empty_plan_creates_no_revision(store: Store, say: Any) -> None:
    skip = say.skip("a.example")
    assert store.commit([say.plan(0, skip), say.plan(0)], None, say.provenance) == 0
    assert store.commit([], None, say.provenance) == 0
    assert len(store.history()) == 1


def test_a_stopped_account_is_not_written(store: Store, say: Any) -> None:
    stopped = say.plan(0, say.account(), stopped=True)
    assert store.commit([stopped], None, say.provenance) == 0
    assert store.read().accounts == {}


def test_a_skipped_change_writes_nothing(store: Store, say: Any) -> None:
    skip = say.skip("a.example")
    store.commit([say.plan(0, say.account(), skip)], None, say.provenance)
    assert store.history(domain="a.example") == []
    assert store.read().accounts[say.key].domains == {}


def test_a_plan_made_on_an_older_revision_is_stale(store: Store, say: Any) -> None:
    store.commit([say.start("a.example")], None, say.provenance)
    add = say.domain("b.example", None, DomainState(MANAGED, Origin.DEFAULT))
    assert store.commit([say.plan(1, add)], None, say.provenance) == 2
    late = say.domain("c.example", None, DomainState(MANAGED, Origin.DEFAULT))
    with pytest.raises(StaleError, match="acme/acme"):
        store.commit([say.plan(1, late)], None, say.provenance)
    assert store.read().revision == 2
    assert "c.example" not in store.read().accounts[say.key].domains


def test_a_recreated_account_has_a_new_fence(store: Store, say: Any) -> None:
    store.commit([say.plan(0, say.account())], None, say.provenance)
    store.commit([say.plan(1, say.account(AccountState("nano"), None))], None, say.provenance)
    store.commit([say.plan(0, say.account())], None, say.provenance)
    with pytest.raises(StaleError):
        store.commit([say.plan(1, say.profile("ses"))], None, say.provenance)
    assert store.read().accounts[say.key].revision == 3


def test_creating_an_account_that_another_process_created_is_stale(store: Store, say: Any) -> None:
    store.commit([say.plan(0, say.account())], None, say.provenance)
    with pytest.raises(StaleError):
        store.commit([say.plan(0, say.account())], None, say.provenance)


def test_creating_a_domain_that_another_account_created_is_stale(
    store: Store, say: Any, other: Any
) -> None:
    store.commit([say.start("a.example")], None, say.provenance)
    with pytest.raises(StaleError):
        store.commit([other.start("a.example")], None, say.provenance)
    assert list(store.read().accounts) == [say.key]


def test_changing_a_platform_that_another_process_changed_is_stale(store: Store, say: Any) -> None:
    store.commit([], say.platform_change(None, say.platform), say.provenance)
    with pytest.raises(StaleError):
        store.commit([], say.platform_change(None, say.platform), say.provenance)
    newer = msgspec.structs.replace(say.platform, ca_file="/etc/ca.pem")
    edit = say.platform_change(say.platform, newer)
    store.commit([], edit, say.provenance)
    assert store.read().platform == newer


def test_one_stale_account_of_a_group_stops_the_group(store: Store, say: Any, other: Any) -> None:
    store.commit([say.start("a.example")], None, say.provenance)
    with pytest.raises(StaleError):
        store.commit([other.start("b.example"), say.plan(0, say.account())], None, say.provenance)
    assert list(store.read().accounts) == [say.key]


@pytest.mark.parametrize("first", ["the source is first", "the target is first"])
def test_a_domain_moves_between_accounts_in_one_transaction(
    store: Store, say: Any, other: Any, first: str
) -> None:
    store.commit([say.start("a.example"), other.start()], None, say.provenance)
    current = DomainState(MANAGED, Origin.DEFAULT)
    plans = [
        say.plan(1, say.domain("a.example", current, None)),
        other.plan(1, other.domain("a.example", None, other.through("ses"))),
    ]
    if first == "the target is first":
        plans.reverse()
    store.commit(plans, None, say.provenance)
    assert store.holders(["a.example"]) == {"a.example": other.key}
    entries = [(entry.account, entry.action) for entry in store.history(domain="a.example")]
    assert entries[:2] == [(other.key, "create"), (say.key, "delete")]


def test_a_profile_is_deleted_with_the_reassignment_of_its_domains(store: Store, say: Any) -> None:
    store.commit([say.start("a.example", route=via("ses"))], None, say.provenance)
    before = DomainState(via("ses"), Origin.DEFAULT)
    after = DomainState(UNCONFIGURED, Origin.REASSIGNED)
    changes = (say.profile("ses", say.ses, None), say.domain("a.example", before, after))
    store.commit([say.plan(1, *changes)], None, say.provenance)
    stored = store.read().accounts[say.key]
    assert stored.profiles == {}
    assert stored.domains == {"a.example": after}


def test_apply_alls_are_read_in_the_order_in_which_they_ran(store: Store, say: Any) -> None:
    state = AccountState("nano")
    store.commit([say.start("a.example")], None, say.provenance)
    for revision, name in enumerate(("b", "c", "a"), start=1):
        ran = (name, RanApplyAll(via("ses"), 1))
        store.commit([say.plan(revision, say.account(state, state, ran))], None, say.provenance)
    assert [*store.read().accounts[say.key].completed_apply_alls] == ["b", "c", "a"]
    assert [*store.read({say.key}).accounts[say.key].completed_apply_alls] == ["b", "c", "a"]


def test_a_deleted_account_keeps_its_apply_alls(store: Store, say: Any) -> None:
    state = AccountState("nano")
    store.commit([say.start("a.example")], None, say.provenance)
    ran = ("once", RanApplyAll(via("ses"), 1))
    store.commit([say.plan(1, say.account(state, state, ran))], None, say.provenance)
    deletion = say.plan(
        2,
        say.account(state, None),
        say.profile("ses", say.ses, None),
        say.domain("a.example", DomainState(MANAGED, Origin.DEFAULT), None),
    )
    store.commit([deletion], None, say.provenance)
    left = store.read().accounts[say.key]
    assert (left.revision, left.state, left.domains) == (0, None, {})
    assert left.completed_apply_alls == {"once": ran[1]}
    assert store.read({say.key}).accounts[say.key] == left
    store.commit([say.start("a.example")], None, say.provenance)
    assert store.read().accounts[say.key].completed_apply_alls == {"once": ran[1]}


def test_a_recreated_profile_has_a_new_id_and_a_changed_profile_a_new_version(
    store: Store, say: Any
) -> None:
    edited = msgspec.structs.replace(say.ses, port=465)
    store.commit([say.plan(0, say.account(), say.profile("ses"))], None, say.provenance)
    store.commit([say.plan(1, say.profile("ses", say.ses, edited))], None, say.provenance)
    [profile] = store.profiles()
    assert (profile.id, profile.version, profile.profile.port) == (1, 2, 465)
    store.commit([say.plan(2, say.profile("ses", edited, None))], None, say.provenance)
    store.commit([say.plan(3, say.profile("ses"))], None, say.provenance)
    [profile] = store.profiles()
    assert (profile.id, profile.version) == (2, 1)


def test_routes_have_the_time_since_when_they_apply(store: Store, say: Any, other: Any) -> None:
    store.commit(
        [say.start("b.example", "a.example"), other.start("c.example")], None, say.provenance
    )
    later = msgspec.structs.replace(say.provenance, at=say.provenance.at + timedelta(days=1))
    current = DomainState(MANAGED, Origin.DEFAULT)
    declared = DomainState(MANAGED, Origin.DECLARED, MANAGED)
    moved = say.through("ses")
    changes = (say.domain("a.example", current, declared), say.domain("b.example", current, moved))
    store.commit([say.plan(1, *changes)], None, later)
    a, b, c = store.routes()
    assert [row.domain for row in (a, b, c)] == ["a.example", "b.example", "c.example"]
    assert (a.state, a.since, a.revision) == (declared, say.provenance.at, 1)
    assert (b.state, b.since, b.revision) == (moved, later.at, 2)
    assert store.routes(["c.example", "none.example"]) == [c]
    assert store.routes(account=say.key) == [a, b]
    assert store.routes(profile="ses") == [b]
    assert store.routes(account=other.key, profile="ses") == []
    assert store.routes(account=AccountKey("acme", "nobody")) == []


def test_explain_returns_all_facts_of_a_domain(store: Store, say: Any) -> None:
    change = say.platform_change(None, say.platform)
    store.commit([say.start("a.example")], change, say.provenance)
    moved = say.domain("a.example", DomainState(MANAGED, Origin.DEFAULT), say.through("ses"))
    store.commit([say.plan(1, moved)], None, say.provenance)
    facts = store.explain_facts("a.example")
    assert facts.row is not None
    assert facts.row.state == say.through("ses")
    assert (facts.platform, facts.platform_version, facts.plan) == (say.platform, 1, "nano")
    assert facts.profile is not None
    assert (facts.profile.id, facts.profile.version, facts.profile.profile) == (1, 1, say.ses)
    assert facts.assignment is not None
    assert (facts.assignment.action, facts.assignment.source_commit) == ("reroute", "c0ffee")
    assert facts.assignment.before == {"route": {"managed": {}}, "origin": "default"}
    unknown = store.explain_facts("unknown.example")
    assert (unknown.row, unknown.platform) == (None, say.platform)


def test_a_route_that_a_later_change_kept_is_given_by_that_change(store: Store, say: Any) -> None:
    store.commit([say.start("a.example")], None, say.provenance)
    default = DomainState(MANAGED, Origin.DEFAULT)
    declared = DomainState(MANAGED, Origin.DECLARED, MANAGED)
    later = DomainState(MANAGED, Origin.DECLARED, MANAGED, None, "an-id")
    for number, change in enumerate([(default, declared), (declared, later)], start=1):
        plan = say.plan(number, say.domain("a.example", *change))
        store.commit([plan], None, say.provenance)
    facts = store.explain_facts("a.example")
    assert facts.row is not None
    assert facts.assignment is not None
    assert (facts.row.revision, facts.assignment.revision) == (1, 2), "it declares the route"


def test_history_is_filtered_by_domain_and_by_account(store: Store, say: Any, other: Any) -> None:
    store.commit([say.start("a.example"), other.start("b.example")], None, say.provenance)
    [entry] = store.history(domain="a.example")
    assert (entry.account, entry.at, entry.reason) == (say.key, say.provenance.at, "declared")
    kinds = [entry.kind for entry in store.history(owner=other.key)]
    assert sorted(kinds) == ["MailAccount", "SMTPProfile", "SendingDomain"]
    assert [entry.name for entry in store.history(limit=2)] == ["b.example", "a.example"]


def test_status_counts(store: Store, say: Any) -> None:
    ran = ("once", RanApplyAll(via("ses"), 2))
    shadowed = DomainState(via("ses"), Origin.APPLY_ALL, MANAGED, "once")
    agrees = DomainState(via("ses"), Origin.APPLY_ALL, via("ses"), "once")
    store.commit(
        [
            say.plan(
                0,
                say.account(ran=ran),
                say.profile("ses"),
                say.domain("a.example", None, shadowed),
                say.domain("b.example", None, agrees),
            )
        ],
        None,
        say.provenance,
    )
    status = store.status()
    assert (status.accounts, status.profiles, status.domains, status.shadowed) == (1, 1, 2, 1)
    assert (status.revision, status.changed_at) == (1, say.provenance.at)


def test_more_domains_than_one_statement_allows_are_written_and_removed(
    store: Store, say: Any
) -> None:
    names = [f"d{number}.example" for number in range(11_000)]
    store.commit([say.start(*names)], None, say.provenance)
    current = DomainState(MANAGED, Origin.DEFAULT)
    assert len(store.holders(names)) == 11_000
    moved = [say.domain(name, current, say.through("ses"), message=name) for name in names]
    store.commit([say.plan(1, *moved)], None, say.provenance)
    assert set(store.read().accounts[say.key].domains.values()) == {say.through("ses")}
    deletions = [say.domain(name, say.through("ses"), None) for name in names]
    store.commit([say.plan(2, *deletions)], None, say.provenance)
    assert store.read().accounts[say.key].domains == {}
    assert len(store.history(domain="d7.example")) == 3


def test_an_error_of_the_schema_is_reported_without_values(store: Store, say: Any) -> None:
    """A change that no planner makes: a domain with a route to a missing profile."""
    lost = say.domain("secret.example", None, DomainState(via("none"), Origin.DEFAULT))
    with pytest.raises(ProblemError, match="violates a rule") as caught:
        store.commit([say.plan(0, say.account(), lost)], None, say.provenance)
    assert "secret.example" not in str(caught.value)
    assert store.read().accounts == {}


def test_the_commit_applied_last_replaces_those_that_it_was_compared_with(store: Store) -> None:
    assert store.applied_commits() == []
    first, second = AppliedCommit("1" * 40, "f" * 40), AppliedCommit("2" * 40, "f" * 40)
    shallow = AppliedCommit("3" * 40)
    store.record_commits([first], [], [])
    store.record_commits([first], [first], [first])
    assert store.applied_commits() == [first]
    store.record_commits([shallow], [], [first])
    both = store.applied_commits()
    store.record_commits([second], [first], both)
    assert store.applied_commits() == [second, shallow], "a commit that is not replaced stays"
    known = AppliedCommit(shallow.commit, "e" * 40)
    both = store.applied_commits()
    store.record_commits([known], [shallow], both)
    store.record_commits([shallow], [known], both)
    assert store.applied_commits() == [second, known], "a known repository stays known"
    assert store.head().revision == 0


def test_a_commit_that_was_not_compared_is_not_replaced(store: Store) -> None:
    first, second, other = (AppliedCommit(digit * 40, "f" * 40) for digit in "123")
    store.record_commits([first], [], [])
    store.record_commits([second], [first], [first])
    with pytest.raises(StaleError, match="Another commit of the repository"):
        store.record_commits([other], [first], [first])
    assert store.applied_commits() == [second]
    store.record_commits([first, other], [], [second])
    assert store.applied_commits() == [first, second, other]


def test_a_plan_of_a_tree_that_another_one_replaced_is_not_written(store: Store, say: Any) -> None:
    first, second = (AppliedCommit(digit * 40, "f" * 40) for digit in "12")
    plan = say.plan(0, say.account())
    store.record_commits([first], [], [])
    store.record_commits([second], [first], [first])
    for write in (
        lambda latest: store.commit([plan], None, say.provenance, latest=latest),
        lambda latest: store.commit_groups([[plan]], say.provenance, latest=latest),
    ):
        with pytest.raises(StaleError, match="Another commit of the repository"):
            write({first.commit})
        assert store.read().accounts == {}
    store.commit([plan], None, say.provenance, latest={second.commit})
    assert list(store.read().accounts) == [say.key]
