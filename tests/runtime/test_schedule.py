"""Which account is due when, for any history of rounds."""

from collections.abc import Callable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sendroute.model.desired import AccountKey
from sendroute.runtime.backoff import FIRST, backoff
from sendroute.runtime.schedule import DueAccounts, RoundState, Schedule

KEYS = [AccountKey("n", name) for name in "abcd"]
INTERVAL = 300.0
Step = tuple[str, float, frozenset[AccountKey], dict[AccountKey, RoundState], float]
History = list[Step]
some_keys = st.frozensets(st.sampled_from(KEYS))
states = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(RoundState))
steps = st.lists(
    st.tuples(
        st.sampled_from(["changed", "tree", "round", "failed", "everything"]),
        st.floats(0, 2 * INTERVAL),
        some_keys,
        states,
        st.floats(0, 1),
    ),
    max_size=30,
)


def replay(history: History, check: Callable[[Schedule, float], None]) -> None:
    """Run a schedule through a history, and check it after each step."""
    now = 0.0
    random_value = [0.5]
    schedule = Schedule(INTERVAL, lambda: random_value[0], now)
    check(schedule, now)
    for event, elapsed, keys, results, random_after in history:
        now += elapsed
        random_value[0] = random_after
        match event:
            case "changed":
                schedule.changed(keys, now)
            case "tree":
                schedule.tree_changed(now)
            case "everything":
                schedule.all_due(now)
            case "failed":
                schedule.round_failed(now)
            case _:
                due = schedule.due(now)
                if due is not None:
                    known = (
                        results
                        if due.accounts is None
                        else {key: end for key, end in results.items() if key in due.accounts}
                    )
                    schedule.round_succeeded(due, known, now)
        check(schedule, now)


@given(steps)
def test_next_is_the_time_when_something_is_due(history: History) -> None:
    def check(schedule: Schedule, now: float) -> None:
        at = max(now, schedule.next())
        assert schedule.due(at) is not None
        if at > now:
            assert schedule.due(now) is None

    replay(history, check)


@given(steps)
def test_everything_is_due_within_an_interval(history: History) -> None:
    def check(schedule: Schedule, now: float) -> None:
        assert schedule.due(now + INTERVAL) == DueAccounts(None)

    replay(history, check)


@given(steps, some_keys)
def test_changed_accounts_are_due_at_once(history: History, keys: frozenset[AccountKey]) -> None:
    def changes(schedule: Schedule, now: float) -> None:
        schedule.changed(keys, now)
        due = schedule.due(now)
        assert due is not None
        assert due.accounts is None or keys <= due.accounts

    replay(history, changes)


@given(st.floats(0, 1), st.integers(1, 2000))
def test_backoff_never_exceeds_the_cap(chance: float, attempts: int) -> None:
    wait = backoff(attempts, INTERVAL, chance)
    assert 0 <= wait <= INTERVAL
    assert wait <= FIRST * 2.0 ** min(attempts - 1, 60)


def test_retries_use_exponential_backoff() -> None:
    schedule = Schedule(1e9, lambda: 1.0, 0.0)
    schedule.round_succeeded(DueAccounts(None), {KEYS[0]: RoundState.RETRY}, 0.0)
    times = [0.0]
    for _ in range(12):
        now = schedule.next()
        times.append(now)
        due = schedule.due(now)
        assert due == DueAccounts(frozenset({KEYS[0]})), "only the failed account"
        schedule.round_succeeded(due, {KEYS[0]: RoundState.RETRY}, now)
    assert [second - first for first, second in pairwise(times)] == [2.0**n for n in range(12)]


def test_a_settled_account_is_not_retried_before_the_interval() -> None:
    schedule = Schedule(INTERVAL, lambda: 1.0, 0.0)
    schedule.round_succeeded(
        DueAccounts(None), {KEYS[0]: RoundState.RETRY, KEYS[1]: RoundState.WAITS}, 0.0
    )
    schedule.round_succeeded(DueAccounts(frozenset({KEYS[0]})), {KEYS[0]: RoundState.COMPLETE}, 1.0)
    assert schedule.next() == INTERVAL


def test_a_waiting_account_is_due_when_the_tree_changes() -> None:
    schedule = Schedule(INTERVAL, lambda: 1.0, 0.0)
    schedule.round_succeeded(
        DueAccounts(None), {KEYS[0]: RoundState.WAITS, KEYS[1]: RoundState.RETRY}, 0.0
    )
    assert schedule.due(0.5) is None
    schedule.tree_changed(0.5)
    assert schedule.due(0.5) == DueAccounts(frozenset({KEYS[0]})), (
        "a failed account keeps its retry time"
    )


def test_accounts_stay_due_after_a_failed_round() -> None:
    schedule = Schedule(INTERVAL, lambda: 1.0, 0.0)
    schedule.round_succeeded(DueAccounts(None), {}, 0.0)
    schedule.changed(frozenset({KEYS[2]}), 1.0)
    wait = schedule.round_failed(1.0)
    assert schedule.due(1.0) is None
    assert schedule.next() == 1.0 + wait
    assert schedule.due(1.0 + wait) == DueAccounts(frozenset({KEYS[2]}))


def test_retries_of_a_long_round_leave_time_for_other_work() -> None:
    schedule = Schedule(INTERVAL, lambda: 1.0, 0.0)
    schedule.round_succeeded(DueAccounts(None), {KEYS[0]: RoundState.RETRY}, 0.0, duration=10.0)
    assert schedule.next() == 40.0
