"""What happens between two writers, over a real store."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import NamedTuple

import pytest

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
from sendroute.model.finding import Where
from sendroute.model.outcome import Outcome, Result
from sendroute.model.platform import Platform, ServicePlan
from sendroute.model.problem import ProblemError
from sendroute.model.provenance import Provenance
from sendroute.planner.plan import plan_tree
from sendroute.reconcile.commit import commit_plan
from sendroute.reconcile.record import Sealed
from sendroute.store.create import init_store
from sendroute.store.record import Store

STAMP = Provenance(datetime(2026, 11, 1, tzinfo=UTC), "test")
HERE = Where("a.yaml", 0)


def tree(*, plans: tuple[str, ...] = ("nano",), **accounts: str) -> Desired:
    """Accounts, each with the domains named, on the first plan."""
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
    with init_store(store_url, STAMP) as made:
        yield made


class Meeting:
    """The store, with another writer who comes before a commit of ours."""

    def __init__(self, store: Store, other: Desired, before: int) -> None:
        self.store = store
        self.other = other
        self.before = before
        self.commits = 0
        self.reads = 0

    def read(self) -> Current:
        self.reads += 1
        return self.store.read()

    def read_sealed(self) -> tuple[Current, Sealed]:
        return self.read(), {}

    def commit(
        self,
        plans: Sequence[AccountPlan],
        platform: PlatformChange | None,
        provenance: Provenance,
        sealed: Sealed = MappingProxyType({}),
    ) -> int:
        self.commits += 1
        if self.commits == self.before:
            run(self.store, self.other)
        return self.store.commit(plans, platform, provenance, sealed)

    def commit_groups(
        self,
        groups: Sequence[Sequence[AccountPlan]],
        provenance: Provenance,
        sealed: Sealed = MappingProxyType({}),
    ) -> list[int]:
        self.commits += 1
        if self.commits == self.before:
            run(self.store, self.other)
        return self.store.commit_groups(groups, provenance, sealed)


def run(record: Store | Meeting, desired: Desired) -> Result:
    def decide() -> Unsealed:
        return Unsealed(plan_tree(desired, record.read()))

    return commit_plan(record, decide(), STAMP, replan=decide)


class Unsealed(NamedTuple):
    """A decision without credentials: no profile here refers to a secret."""

    plan: Plan

    def seal(self, *_: object) -> Sealed:
        return {}


def outcomes(result: Result) -> dict[str, Outcome]:
    return {done.key.name: done.outcome for done in result.accounts}


def test_the_platform_comes_first_and_each_account_is_a_transaction(store: Store) -> None:
    result = run(store, tree(a="a.example", b="b.example"))
    assert result.platform is Outcome.COMMITTED
    assert [done.revision for done in result.accounts] == [2, 3]
    assert result.revision == 3
    assert plan_tree(tree(a="a.example", b="b.example"), store.read()).platform is None


def test_another_writer_with_the_same_manifests_has_done_it_all(store: Store) -> None:
    desired = tree(a="a.example", b="b.example", c="c.example")
    meeting = Meeting(store, desired, before=2)
    result = run(meeting, desired)
    assert set(outcomes(result).values()) == {Outcome.UNCHANGED}
    assert meeting.reads == 2, "one reading again, not one for each account"


def test_what_another_writer_did_elsewhere_does_not_matter(store: Store) -> None:
    run(store, tree(a="a.example", b="b.example"))
    other = tree(a="a.example", b="b.example more.example")
    ours = tree(a="a.example new.example", b="b.example")
    meeting = Meeting(store, other, before=1)
    assert outcomes(run(meeting, ours))["a"] is Outcome.COMMITTED


def test_another_decision_is_refused_for_its_account_alone(store: Store) -> None:
    run(store, tree(a="a.example", b="b.example"))
    other = tree(a="a.example taken.example", b="b.example")
    ours = tree(a="a.example", b="b.example new.example")
    desired = tree(a="a.example mine.example", b="b.example new.example")
    result = run(Meeting(store, other, before=1), desired)
    assert outcomes(result) == {"a": Outcome.REFUSED, "b": Outcome.COMMITTED}
    assert [found.code for found in result.accounts[0].findings] == ["stale-plan"]
    assert ours.accounts


def test_the_same_decision_on_a_newer_revision_goes_through(store: Store) -> None:
    run(store, tree(a="a.example x.example"))
    desired = tree(a="a.example x.example new.example")

    class Touching(Meeting):
        """The other writer changes the account, and changes it back: only its revision moves."""

        def commit(
            self,
            plans: Sequence[AccountPlan],
            platform: PlatformChange | None,
            provenance: Provenance,
            sealed: Sealed = MappingProxyType({}),
        ) -> int:
            if self.commits == 0:
                run(self.store, tree(a="a.example x.example y.example"))
                run(self.store, tree(a="a.example x.example"))
            return super().commit(plans, platform, provenance, sealed)

    result = run(Touching(store, desired, before=0), desired)
    assert outcomes(result) == {"a": Outcome.COMMITTED}


def test_a_failure_of_one_account_stops_no_other(store: Store) -> None:
    class Failing(Meeting):
        def commit(
            self,
            plans: Sequence[AccountPlan],
            platform: PlatformChange | None,
            provenance: Provenance,
            sealed: Sealed = MappingProxyType({}),
        ) -> int:
            if any(plan.key.name == "a" for plan in plans):
                raise ProblemError(finding("store-failed", "The disk is full."))
            return super().commit(plans, platform, provenance, sealed)

        def commit_groups(
            self,
            groups: Sequence[Sequence[AccountPlan]],
            provenance: Provenance,
            sealed: Sealed = MappingProxyType({}),
        ) -> list[int]:
            if any(plan.key.name == "a" for group in groups for plan in group):
                raise ProblemError(finding("store-failed", "The disk is full."))
            return super().commit_groups(groups, provenance, sealed)

    desired = tree(a="a.example", b="b.example")
    result = run(Failing(store, desired, before=0), desired)
    assert outcomes(result) == {"a": Outcome.FAILED, "b": Outcome.COMMITTED}


def test_without_the_platform_no_account_is_tried(store: Store) -> None:
    other = tree(plans=("nano", "gold"), a="a.example")
    desired = tree(plans=("nano", "pro"), a="a.example", b="b.example")
    result = run(Meeting(store, other, before=1), desired)
    assert result.platform is Outcome.REFUSED
    assert set(outcomes(result).values()) == {Outcome.SKIPPED}


def test_small_accounts_share_a_transaction_and_have_a_revision_each(store: Store) -> None:
    desired = tree(a="a.example", b="b.example x.example", c="c.example")
    meeting = Meeting(store, desired, before=0)
    result = run(meeting, desired)
    assert meeting.commits == 2, "the platform, and all accounts"
    assert [done.revision for done in result.accounts] == [2, 3, 4]
    current = store.read()
    assert [current.accounts[AccountKey(n, n)].revision for n in "abc"] == [2, 3, 4]
    reported = {entry.revision: entry.account for entry in store.history()}
    assert [reported[number] for number in (2, 3, 4)] == [AccountKey(n, n) for n in "abc"]
    assert [entry.name for entry in store.history(limit=3)] == ["c.example", "c", "x.example"]


def test_a_conflict_in_one_account_of_a_transaction_concerns_that_account_alone(
    store: Store,
) -> None:
    desired = tree(a="a.example", b="b.example", c="c.example")
    meeting = Meeting(store, tree(b="taken.example"), before=2)
    assert outcomes(run(meeting, desired)) == {
        "a": Outcome.COMMITTED,
        "b": Outcome.REFUSED,
        "c": Outcome.COMMITTED,
    }


def test_a_stop_between_transactions_leaves_whole_accounts(store: Store) -> None:
    names = [f"n{number:03}" for number in range(250)]
    desired = tree(**{name: f"{name}.example" for name in names})
    done: list[int] = []
    result = commit_plan(
        store,
        Unsealed(plan_tree(desired, store.read())),
        STAMP,
        replan=lambda: Unsealed(plan_tree(desired, store.read())),
        should_stop=lambda: bool(done),
        advance=done.append,
    )
    got = list(outcomes(result).values())
    committed = got.count(Outcome.COMMITTED)
    assert got == [Outcome.COMMITTED] * committed + [Outcome.SKIPPED] * (len(names) - committed)
    assert 0 < committed < len(names)
    current = store.read()
    assert [key.name for key in sorted(current.accounts)] == names[:committed]
    assert all(len(account.domains) == 1 for account in current.accounts.values())
