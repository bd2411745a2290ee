"""Back to any earlier state, over random histories: it is that state, and nothing is forgotten."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.planner.histories import Step, histories
from tests.planner.test_histories import LONGEST, moments
from tests.planner.values import by_hand, contents, empty_store

from sendroute.model.current import Current, CurrentAccount
from sendroute.model.desired import AccountKey
from sendroute.planner.plan import plan_tree
from sendroute.planner.restore import REASON, plan_restore


def without_ids(current: Current) -> dict[AccountKey, CurrentAccount]:
    """The state alone: the ids of apply-alls stay whatever is restored."""
    return {
        key: replace(account, ran={})
        for key, account in contents(current).items()
        if account.state is not None
    }


@given(histories(LONGEST), st.integers(0), st.integers(0))
def test_a_restore_leads_to_what_was(history: list[Step], one: int, other: int) -> None:
    states = [empty_store(), *(now.after for now in moments(history))]
    now, then = states[one % len(states)], states[other % len(states)]
    back = plan_restore(now, then)
    after = by_hand(now, back.plan)
    assert without_ids(replace(now, accounts=after)) == without_ids(then)
    changes = [change for account in back.plan.accounts for change in account.changes]
    assert all(change.reason == REASON and change.before != change.after for change in changes)
    platform = back.plan.platform.after if back.plan.platform else now.platform
    assert platform == (then.platform or now.platform)


@given(histories(LONGEST), st.integers(0), st.integers(0))
def test_every_id_that_ran_before_or_after_is_known_then(
    history: list[Step], one: int, other: int
) -> None:
    states = [empty_store(), *(now.after for now in moments(history))]
    now, then = states[one % len(states)], states[other % len(states)]
    back = plan_restore(now, then)
    for key in now.accounts.keys() | then.accounts.keys():
        known = now.accounts[key].ran if key in now.accounts else {}
        added = back.apply_alls.get(key, {})
        assert not known.keys() & added.keys()
        was = then.accounts[key].ran if key in then.accounts else {}
        assert known.keys() | added.keys() == known.keys() | was.keys()


@given(histories(LONGEST))
def test_the_present_state_is_no_change(history: list[Step]) -> None:
    for now in moments(history):
        assert plan_restore(now.after, now.after).is_empty


@given(histories(LONGEST), st.integers(0))
def test_the_next_plan_is_that_of_the_state_restored(history: list[Step], other: int) -> None:
    """But for apply-alls, whose ids are not run again: the manifests decide as they did then."""
    states = list(moments(history))
    then = states[other % len(states)]
    now = states[-1]
    back = plan_restore(now.after, then.after)
    accounts = by_hand(now.after, back.plan)
    for key, missing in back.apply_alls.items():
        there = accounts.get(key, CurrentAccount(key, 0, None))
        accounts[key] = replace(there, ran=there.ran | missing)
    restored = replace(then.after, accounts=accounts)
    if restored.accounts == contents(then.after):
        again = plan_tree(then.desired, restored, failed=then.failed)
        first = plan_tree(then.desired, then.after, failed=then.failed)
        assert [a.changes for a in again.accounts] == [a.changes for a in first.accounts]
