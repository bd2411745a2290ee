"""Commits that compete with another writer, on a real store."""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from sendroute.model.change import AccountPlan, Plan, PlatformChange
from sendroute.model.codes import finding
from sendroute.model.current import Current
from sendroute.model.desired import (
    AccountKey,
    Desired,
    DesiredAccount,
    DesiredDomain,
    DesiredPlatform,
)
from sendroute.model.finding import Where, no_positions
from sendroute.model.outcome import Outcome, Result
from sendroute.model.platform import Platform, ServicePlan
from sendroute.model.problem import ProblemError
from sendroute.model.provenance import Provenance
from sendroute.planner.guards import Guards
from sendroute.planner.plan import plan_tree
from sendroute.reconcile.assessment import assess
from sendroute.reconcile.commit import commit_plan
from sendroute.reconcile.record import EncryptedCredentials
from sendroute.store.create import init_store
from sendroute.store.record import Store

STAMP = Provenance(datetime(2026, 11, 1, tzinfo=UTC), "test")
HERE = Where("a.yaml", 0)
CONFIRMED = Guards(remove_accounts=frozenset([AccountKey("acme", "acme")]))


def tree(*, plans: tuple[str, ...] = ("nano",), **accounts: str) -> Desired:
    """Accounts with the given domains, all on the first plan."""
    keys = {AccountKey(name, name): names.split() for name, names in accounts.items()}
    return Desired(
        DesiredPlatform(Platform(None, tuple(ServicePlan(p, managed=False) for p in plans)), HERE),
        {
            key: DesiredAccount(
                key, plans[0], HERE, domains=[DesiredDomain(d, None, HERE) for d in domains]
            )
            for key, domains in keys.items()
        },
    )


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with init_store(store_url, STAMP) as created:
        yield created


class ConcurrentStore:
    """A store in which another writer commits ``other`` just before commit number ``before``."""

    def __init__(self, store: Store, other: Desired, before: int) -> None:
        self.store = store
        self.other = other
        self.before = before
        self.commits = 0
        self.reads = 0

    def read(self) -> Current:
        self.reads += 1
        return self.store.read()

    def read_with_credentials(self) -> tuple[Current, EncryptedCredentials]:
        return self.read(), {}

    def commit(
        self,
        plans: Sequence[AccountPlan],
        platform: PlatformChange | None,
        provenance: Provenance,
        encrypted: EncryptedCredentials = MappingProxyType({}),
        latest: Collection[str] = (),
    ) -> int:
        self.commits += 1
        if self.commits == self.before:
            run(self.store, self.other)
        return self.store.commit(plans, platform, provenance, encrypted, latest)

    def commit_groups(
        self,
        groups: Sequence[Sequence[AccountPlan]],
        provenance: Provenance,
        encrypted: EncryptedCredentials = MappingProxyType({}),
        latest: Collection[str] = (),
    ) -> list[int]:
        self.commits += 1
        if self.commits == self.before:
            run(self.store, self.other)
        return self.store.commit_groups(groups, provenance, encrypted, latest)


def run(record: Store | ConcurrentStore, desired: Desired) -> Result:
    def decide() -> WithoutCredentials:
        return WithoutCredentials(plan_tree(desired, record.read(), guards=CONFIRMED))

    return commit_plan(record, decide(), STAMP, replan=decide)


class WithoutCredentials(NamedTuple):
    """A plan without credentials: no profile in these tests refers to a secret."""

    plan: Plan
    latest: Collection[str] = ()

    def encrypt(self, *_: object) -> EncryptedCredentials:
        return {}


def outcomes(result: Result) -> dict[str, Outcome]:
    return {entry.key.name: entry.outcome for entry in result.accounts}


def test_the_platform_is_committed_first_and_each_account_gets_a_revision(store: Store) -> None:
    result = run(store, tree(a="a.example", b="b.example"))
    assert result.platform is Outcome.COMMITTED
    assert [entry.revision for entry in result.accounts] == [2, 3]
    assert result.revision == 3
    assert plan_tree(tree(a="a.example", b="b.example"), store.read()).platform is None


def test_accounts_are_unchanged_if_another_writer_committed_the_same_manifests(
    store: Store,
) -> None:
    desired = tree(a="a.example", b="b.example", c="c.example")
    record = ConcurrentStore(store, desired, before=2)
    result = run(record, desired)
    assert set(outcomes(result).values()) == {Outcome.UNCHANGED}
    assert record.reads == 2, "the store is read again once, not once per account"


def test_a_commit_to_another_account_does_not_matter(store: Store) -> None:
    run(store, tree(a="a.example", b="b.example"))
    other = tree(a="a.example", b="b.example more.example")
    ours = tree(a="a.example new.example", b="b.example")
    record = ConcurrentStore(store, other, before=1)
    assert outcomes(run(record, ours))["a"] is Outcome.COMMITTED


def test_a_changed_decision_is_refused_only_for_its_account(store: Store) -> None:
    run(store, tree(a="a.example", b="b.example"))
    other = tree(a="a.example taken.example", b="b.example")
    ours = tree(a="a.example", b="b.example new.example")
    desired = tree(a="a.example mine.example", b="b.example new.example")
    result = run(ConcurrentStore(store, other, before=1), desired)
    assert outcomes(result) == {"a": Outcome.REFUSED, "b": Outcome.COMMITTED}
    assert [finding.code for finding in result.accounts[0].findings] == ["stale-plan"]
    assert ours.accounts


def test_the_same_decision_on_a_newer_revision_is_committed(store: Store) -> None:
    run(store, tree(a="a.example x.example"))
    desired = tree(a="a.example x.example new.example")

    class Touching(ConcurrentStore):
        """Another writer changes the account and reverts it: only its revision changes."""

        def commit(
            self,
            plans: Sequence[AccountPlan],
            platform: PlatformChange | None,
            provenance: Provenance,
            encrypted: EncryptedCredentials = MappingProxyType({}),
            latest: Collection[str] = (),
        ) -> int:
            if self.commits == 0:
                run(self.store, tree(a="a.example x.example y.example"))
                run(self.store, tree(a="a.example x.example"))
            return super().commit(plans, platform, provenance, encrypted, latest)

    result = run(Touching(store, desired, before=0), desired)
    assert outcomes(result) == {"a": Outcome.COMMITTED}


def test_a_failure_of_one_account_does_not_stop_other_accounts(store: Store) -> None:
    class Failing(ConcurrentStore):
        def commit(
            self,
            plans: Sequence[AccountPlan],
            platform: PlatformChange | None,
            provenance: Provenance,
            encrypted: EncryptedCredentials = MappingProxyType({}),
            latest: Collection[str] = (),
        ) -> int:
            if any(plan.key.name == "a" for plan in plans):
                raise ProblemError(finding("store-failed", "The disk is full."))
            return super().commit(plans, platform, provenance, encrypted, latest)

        def commit_groups(
            self,
            groups: Sequence[Sequence[AccountPlan]],
            provenance: Provenance,
            encrypted: EncryptedCredentials = MappingProxyType({}),
            latest: Collection[str] = (),
        ) -> list[int]:
            if any(plan.key.name == "a" for group in groups for plan in group):
                raise ProblemError(finding("store-failed", "The disk is full."))
            return super().commit_groups(groups, provenance, encrypted, latest)

    desired = tree(a="a.example", b="b.example")
    result = run(Failing(store, desired, before=0), desired)
    assert outcomes(result) == {"a": Outcome.FAILED, "b": Outcome.COMMITTED}


def test_each_account_of_a_group_that_fails_says_why(store: Store) -> None:
    class Failing(ConcurrentStore):
        def commit(self, *_: object, **__: object) -> int:
            raise ProblemError(finding("store-failed", "The disk is full."))

    run(store, tree(a="a.example x.example", b="b.example"))
    moved = tree(a="a.example", b="b.example x.example")
    result = run(Failing(store, moved, before=0), moved)
    assert outcomes(result) == {"a": Outcome.FAILED, "b": Outcome.FAILED}
    for account in result.accounts:
        assert [item.message for item in account.findings] == ["The disk is full."], account.key
    statuses = assess(result, {}, None, STAMP.at, None, no_positions).statuses
    assert {str(key) for key in statuses} == {"a/a", "b/b"}
    for status in statuses.values():
        assert [item.message for item in status.report.findings] == ["The disk is full."]


def test_if_the_platform_is_refused_all_accounts_are_skipped(store: Store) -> None:
    other = tree(plans=("nano", "gold"), a="a.example")
    desired = tree(plans=("nano", "pro"), a="a.example", b="b.example")
    result = run(ConcurrentStore(store, other, before=1), desired)
    assert result.platform is Outcome.REFUSED
    assert set(outcomes(result).values()) == {Outcome.SKIPPED}


def test_small_accounts_share_a_transaction_and_each_gets_a_revision(store: Store) -> None:
    desired = tree(a="a.example", b="b.example x.example", c="c.example")
    record = ConcurrentStore(store, desired, before=0)
    result = run(record, desired)
    assert record.commits == 2, "the platform, and all accounts"
    assert [entry.revision for entry in result.accounts] == [2, 3, 4]
    current = store.read()
    assert [current.accounts[AccountKey(n, n)].revision for n in "abc"] == [2, 3, 4]
    reported = {entry.revision: entry.account for entry in store.history()}
    assert [reported[number] for number in (2, 3, 4)] == [AccountKey(n, n) for n in "abc"]
    assert [entry.name for entry in store.history(limit=3)] == ["c.example", "c", "x.example"]


def test_a_conflict_in_a_shared_transaction_affects_only_its_account(
    store: Store,
) -> None:
    desired = tree(a="a.example", b="b.example", c="c.example")
    record = ConcurrentStore(store, tree(b="taken.example"), before=2)
    assert outcomes(run(record, desired)) == {
        "a": Outcome.COMMITTED,
        "b": Outcome.REFUSED,
        "c": Outcome.COMMITTED,
    }


def test_a_stop_between_transactions_leaves_complete_accounts(store: Store) -> None:
    names = [f"n{number:03}" for number in range(250)]
    desired = tree(**{name: f"{name}.example" for name in names})
    revisions: list[int] = []
    result = commit_plan(
        store,
        WithoutCredentials(plan_tree(desired, store.read())),
        STAMP,
        replan=lambda: WithoutCredentials(plan_tree(desired, store.read())),
        should_stop=lambda: bool(revisions),
        advance=revisions.append,
    )
    actual = list(outcomes(result).values())
    committed = actual.count(Outcome.COMMITTED)
    assert actual == [Outcome.COMMITTED] * committed + [Outcome.SKIPPED] * (len(names) - committed)
    assert 0 < committed < len(names)
    current = store.read()
    assert [key.name for key in sorted(current.accounts)] == names[:committed]
    assert all(len(account.domains) == 1 for account in current.accounts.values())


def test_a_platform_that_another_writer_recorded_first_is_no_change(store: Store) -> None:
    desired = tree(acme="a.example")
    result = run(ConcurrentStore(store, desired, 1), desired)
    assert (result.platform, result.plan.platform) == (None, None)
    assert outcomes(result) == {"acme": Outcome.UNCHANGED}
    assert [account.changes for account in result.plan.accounts] == [()]
    assert result.findings == ()


def test_an_account_that_another_writer_removed_first_is_no_change(store: Store) -> None:
    run(store, tree(acme="a.example", zoo="z.example"))
    without = tree(acme="", zoo="z.example")
    key = AccountKey("acme", "acme")
    without.accounts[key] = replace(without.accounts[key], remove=1)
    result = run(ConcurrentStore(store, without, 1), without)
    assert key not in store.read().accounts
    changes = {account.key.name: account.changes for account in result.plan.accounts}
    assert (outcomes(result)["acme"], changes["acme"]) == (Outcome.UNCHANGED, ())
