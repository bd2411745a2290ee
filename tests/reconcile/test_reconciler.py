"""The reconciler on a real store: a plan of some accounts equals their part of the full plan."""

from collections.abc import Iterator
from typing import Any

import pytest

from sendroute.model.change import AccountPlan
from sendroute.model.desired import Desired
from sendroute.reconcile.reconciler import DesiredTree, Planned, PlanRequest, Reconciler
from sendroute.reconcile.verifier import Verifier
from sendroute.store.create import init_store
from sendroute.store.record import Store

from .test_commit import STAMP, run, tree


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with init_store(store_url, STAMP) as created:
        yield created


class NoSecrets:
    given = False


def verifier() -> Verifier:
    return Verifier(NoSecrets(), None)  # type: ignore[arg-type]


def source(desired: Desired) -> DesiredTree:
    return DesiredTree.of(desired, None, lambda _where: None)


class SomeAccountsOnly:
    """A store that fails if it is read as a whole."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        if name in ("read", "read_with_credentials"):
            raise AssertionError(f"{name} reads the whole store")
        return getattr(self._store, name)


def by_account(planned: Planned) -> dict[str, AccountPlan]:
    return {plan.key.name: plan for plan in planned.plan.accounts}


def test_some_accounts_are_planned_without_reading_the_whole_store(store: Store) -> None:
    run(store, tree(a="a.example", b="b.example", c="c.example"))
    desired = tree(a="new.example", b="b.example", c="other.example")
    whole = Reconciler(store, verifier).plan(source(desired), PlanRequest())
    keys = frozenset(plan.key for plan in whole.plan.accounts if plan.key.name == "a")
    some = Reconciler(SomeAccountsOnly(store), verifier).plan(  # type: ignore[arg-type]
        source(desired), PlanRequest(only=keys)
    )
    assert by_account(some) == {"a": by_account(whole)["a"]}
    assert by_account(some)["a"].changes


@pytest.mark.parametrize("linked", [True, False])
def test_a_move_is_planned_with_both_accounts_only_if_linked(store: Store, linked: bool) -> None:
    run(store, tree(a="moves.example", b="b.example"))
    desired = tree(a="stays.example", b="moves.example")
    whole = Reconciler(store, verifier).plan(source(desired), PlanRequest())
    keys = frozenset(plan.key for plan in whole.plan.accounts if plan.key.name == "b")
    some = Reconciler(SomeAccountsOnly(store), verifier).plan(  # type: ignore[arg-type]
        source(desired), PlanRequest(only=keys, linked=linked)
    )
    if linked:
        assert by_account(some) == by_account(whole)
        assert some.plan.groups == whole.plan.groups
    else:
        assert by_account(some).keys() == {"b"}
        assert not some.plan.groups


def test_a_second_plan_of_a_committed_account_is_empty(store: Store) -> None:
    desired = tree(a="a.example", b="b.example")
    run(store, desired)
    keys = frozenset({next(iter(desired.accounts))})
    planned = Reconciler(store, verifier).plan(source(desired), PlanRequest(only=keys))
    assert [plan.changes for plan in planned.plan.accounts] == [()]
