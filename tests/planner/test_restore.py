"""Restoring any earlier state of random histories gives that state and keeps all ids."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.planner.histories import Step, histories
from tests.planner.test_histories import LONGEST, moments
from tests.planner.values import apply_changes, contents, empty_store

from sendroute.model.change import ChangeReason
from sendroute.model.current import Current, CurrentAccount
from sendroute.model.desired import AccountKey
from sendroute.planner.plan import plan_tree
from sendroute.planner.restore import plan_restore


def without_ids(current: Current) -> dict[AccountKey, CurrentAccount]:
    """The state without the ids of apply-alls, which every restore keeps."""
    return {
        key: replace(account, completed_apply_alls={})
        for key, account in contents(current).items()
        if account.state is not None
    }


@given(histories(LONGEST), st.integers(0), st.integers(0))
def test_a_restore_gives_the_earlier_state(history: list[Step], first: int, second: int) -> None:
    states = [empty_store(), *(now.after for now in moments(history))]
    now, then = states[first % len(states)], states[second % len(states)]
    back = plan_restore(now, then)
    after = apply_changes(now, back.plan)
    assert without_ids(replace(now, accounts=after)) == without_ids(then)
    changes = [change for account in back.plan.accounts for change in account.changes]
    assert all(
        change.reason is ChangeReason.RESTORED and change.before != change.after
        for change in changes
    )
    platform = back.plan.platform.after if back.plan.platform else now.platform
    assert platform == (then.platform or now.platform)


@given(histories(LONGEST), st.integers(0), st.integers(0))
def test_a_restore_keeps_the_ids_of_both_states(
    history: list[Step], first: int, second: int
) -> None:
    states = [empty_store(), *(now.after for now in moments(history))]
    now, then = states[first % len(states)], states[second % len(states)]
    back = plan_restore(now, then)
    for key in now.accounts.keys() | then.accounts.keys():
        known = now.accounts[key].completed_apply_alls if key in now.accounts else {}
        added = back.apply_alls.get(key, {})
        assert not known.keys() & added.keys()
        earlier = then.accounts[key].completed_apply_alls if key in then.accounts else {}
        assert known.keys() | added.keys() == known.keys() | earlier.keys()


@given(histories(LONGEST))
def test_restoring_the_current_state_changes_nothing(history: list[Step]) -> None:
    for now in moments(history):
        assert plan_restore(now.after, now.after).is_empty


@given(histories(LONGEST), st.integers(0))
def test_a_plan_after_a_restore_equals_the_plan_at_the_earlier_state(
    history: list[Step], other: int
) -> None:
    """Except for apply-alls, whose ids do not run again."""
    states = list(moments(history))
    then = states[other % len(states)]
    now = states[-1]
    back = plan_restore(now.after, then.after)
    accounts = apply_changes(now.after, back.plan)
    for key, missing in back.apply_alls.items():
        account = accounts.get(key, CurrentAccount(key, 0, None))
        accounts[key] = replace(
            account, completed_apply_alls=account.completed_apply_alls | missing
        )
    restored = replace(then.after, accounts=accounts)
    if restored.accounts == contents(then.after):
        again = plan_tree(then.desired, restored, failed=then.failed)
        first = plan_tree(then.desired, then.after, failed=then.failed)
        assert [a.changes for a in again.accounts] == [a.changes for a in first.accounts]
