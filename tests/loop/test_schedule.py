"""When which account is due, over any history of rounds."""

from collections.abc import Callable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sendroute.loop.schedule import FIRST, Due, End, Schedule, backoff
from sendroute.model.desired import AccountKey

KEYS = [AccountKey("n", name) for name in "abcd"]
INTERVAL = 300.0
Step = tuple[str, float, frozenset[AccountKey], dict[AccountKey, End], float]
History = list[Step]
some_keys = st.frozensets(st.sampled_from(KEYS))
ends = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(End))
steps = st.lists(
    st.tuples(
        st.sampled_from(["changed", "tree", "round", "failed", "everything"]),
        st.floats(0, 2 * INTERVAL),
        some_keys,
        ends,
        st.floats(0, 1),
    ),
    max_size=30,
)


def follow(history: History, look: Callable[[Schedule, float], None]) -> None:
    """A schedule led through a history, and looked at after each step."""
    now = 0.0
    chance = [0.5]
    schedule = Schedule(INTERVAL, lambda: chance[0], now)
    look(schedule, now)
    for what, after, keys, ended, drawn in history:
        now += after
        chance[0] = drawn
        match what:
            case "changed":
                schedule.changed(keys, now)
            case "tree":
                schedule.tree_changed(now)
            case "everything":
                schedule.everything(now)
            case "failed":
                schedule.failed(now)
            case _:
                due = schedule.due(now)
                if due is not None:
                    known = (
                        ended
                        if due.accounts is None
                        else {key: end for key, end in ended.items() if key in due.accounts}
                    )
                    schedule.done(due, known, now)
        look(schedule, now)


@given(steps)
def test_what_next_says_is_when_something_is_due(history: History) -> None:
    def look(schedule: Schedule, now: float) -> None:
        at = max(now, schedule.next())
        assert schedule.due(at) is not None
        if at > now:
            assert schedule.due(now) is None

    follow(history, look)


@given(steps)
def test_everything_is_due_within_an_interval(history: History) -> None:
    def look(schedule: Schedule, now: float) -> None:
        assert schedule.due(now + INTERVAL) == Due(None)

    follow(history, look)


@given(steps, some_keys)
def test_what_changed_is_due_at_once(history: History, keys: frozenset[AccountKey]) -> None:
    def changes(schedule: Schedule, now: float) -> None:
        schedule.changed(keys, now)
        due = schedule.due(now)
        assert due is not None
        assert due.accounts is None or keys <= due.accounts

    follow(history, changes)


@given(st.floats(0, 1), st.integers(1, 2000))
def test_a_wait_is_never_longer_than_the_cap(chance: float, attempts: int) -> None:
    wait = backoff(attempts, INTERVAL, chance)
    assert 0 <= wait <= INTERVAL
    assert wait <= FIRST * 2.0 ** min(attempts - 1, 60)


def test_retries_are_less_and_less_often_until_the_interval() -> None:
    schedule = Schedule(1e9, lambda: 1.0, 0.0)
    schedule.done(Due(None), {KEYS[0]: End.RETRY}, 0.0)
    times = [0.0]
    for _ in range(12):
        now = schedule.next()
        times.append(now)
        due = schedule.due(now)
        assert due == Due(frozenset({KEYS[0]})), "only the one that failed"
        schedule.done(due, {KEYS[0]: End.RETRY}, now)
    assert [later - earlier for earlier, later in pairwise(times)] == [2.0**n for n in range(12)]


def test_a_settled_account_is_not_tried_again_before_the_interval() -> None:
    schedule = Schedule(INTERVAL, lambda: 1.0, 0.0)
    schedule.done(Due(None), {KEYS[0]: End.RETRY, KEYS[1]: End.WAITS}, 0.0)
    schedule.done(Due(frozenset({KEYS[0]})), {KEYS[0]: End.SETTLED}, 1.0)
    assert schedule.next() == INTERVAL


def test_who_waits_is_due_when_another_tree_comes() -> None:
    schedule = Schedule(INTERVAL, lambda: 1.0, 0.0)
    schedule.done(Due(None), {KEYS[0]: End.WAITS, KEYS[1]: End.RETRY}, 0.0)
    assert schedule.due(0.5) is None
    schedule.tree_changed(0.5)
    assert schedule.due(0.5) == Due(frozenset({KEYS[0]})), "who failed keeps its own time"


def test_a_round_that_could_not_be_made_loses_nothing() -> None:
    schedule = Schedule(INTERVAL, lambda: 1.0, 0.0)
    schedule.done(Due(None), {}, 0.0)
    schedule.changed(frozenset({KEYS[2]}), 1.0)
    wait = schedule.failed(1.0)
    assert schedule.due(1.0) is None
    assert schedule.next() == 1.0 + wait
    assert schedule.due(1.0 + wait) == Due(frozenset({KEYS[2]}))


def test_retries_of_a_costly_round_leave_time_for_others() -> None:
    schedule = Schedule(INTERVAL, lambda: 1.0, 0.0)
    schedule.done(Due(None), {KEYS[0]: End.RETRY}, 0.0, duration=10.0)
    assert schedule.next() == 40.0
