"""Which accounts are due: once they settled, never in the middle of a sync, always in the end."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendroute.cluster.queue import AccountQueue, settle_time, with_platform
from sendroute.cluster.times import Times
from sendroute.model.change import (
    AccountChange,
    AccountPlan,
    Action,
    DomainChange,
    ObjectChange,
    ProfileChange,
)
from sendroute.model.codes import finding
from sendroute.model.current import AccountState, DomainState, RanApplyAll
from sendroute.model.desired import AccountKey
from sendroute.model.owner import PLATFORM, Owner
from sendroute.model.route import MANAGED, Origin
from sendroute.runtime.schedule import DueAccounts, RoundState

TIMES = Times(interval=100_000.0)
A, B = AccountKey("a", "a"), AccountKey("b", "b")


def queue() -> AccountQueue:
    return AccountQueue(TIMES, lambda: 1.0, 0.0)


def change_of_domain(action: Action, before: Origin | None, after: Origin | None) -> ObjectChange:
    states = [DomainState(MANAGED, origin) if origin else None for origin in (before, after)]
    return DomainChange(A, "a.example", action, states[0], states[1], "reason", "message")


def plan(*changes: ObjectChange, **fields: Any) -> AccountPlan:
    return AccountPlan(A, 1, changes, **fields)


STAMPS = plan(change_of_domain(Action.CREATE, None, Origin.DEFAULT))
DECLARES = plan(change_of_domain(Action.CREATE, None, Origin.DECLARED))


@pytest.mark.parametrize(
    ("planned", "seconds"),
    [
        (plan(), 1.0),
        (DECLARES, 1.0),
        (plan(change_of_domain(Action.REROUTE, Origin.DECLARED, Origin.DECLARED)), 1.0),
        (STAMPS, 5.0),
        (plan(change_of_domain(Action.DELETE, Origin.DECLARED, None)), 5.0),
        (plan(change_of_domain(Action.REASSIGN, Origin.DECLARED, Origin.REASSIGNED)), 5.0),
        (plan(ProfileChange(A, "ses", Action.DELETE, None, None, "reason", "message")), 5.0),
        (
            plan(
                AccountChange(
                    A,
                    "a",
                    Action.UPDATE,
                    AccountState("pro"),
                    AccountState("pro"),
                    "reason",
                    "message",
                    completed=("move", RanApplyAll(MANAGED, 1)),
                )
            ),
            5.0,
        ),
        (plan(findings=(finding("unknown-profile", "message"),)), 10.0),
        (plan(findings=(finding("unknown-account", "message"),), stopped=True), 10.0),
        (plan(findings=(finding("too-many-removals", "message"),), stopped=True), 1.0),
    ],
    ids=[
        "nothing",
        "a new declared route",
        "a declared route that changes",
        "a new domain by the default",
        "a removal",
        "a reassignment",
        "a profile that is deleted",
        "an apply-all",
        "a profile that may come",
        "an account that may come",
        "held back by a guard",
    ],
)
def test_what_is_destructive_settles_longer(planned: AccountPlan, seconds: float) -> None:
    assert settle_time(planned, TIMES)[0] == seconds


def test_an_account_is_due_a_second_after_its_last_event() -> None:
    due = queue()
    due.changed([A], 0.0)
    due.changed([A], 0.9)
    assert due.due(1.8) is None
    assert due.next() == 1.9
    assert due.due(1.9) == DueAccounts(frozenset({A}))


def test_a_deferred_account_settles_longer() -> None:
    due = queue()
    due.changed([A, B], 0.0)
    assert due.defer(A, 1.0, STAMPS) is not None
    assert due.defer(B, 1.0, DECLARES) is None
    due.reconciled(DueAccounts(frozenset({A, B})), {B: RoundState.COMPLETE}, {B}, 1.1)
    assert due.due(4.9) is None
    assert due.due(5.0) == DueAccounts(frozenset({A}))
    assert due.defer(A, 5.0, STAMPS) is None
    due.reconciled(DueAccounts(frozenset({A})), {A: RoundState.COMPLETE}, {A}, 5.1)
    assert due.due(900.0) is None
    assert due.depth == 0


def test_an_event_that_arrives_meanwhile_is_looked_at_soon() -> None:
    due = queue()
    due.changed([A], 0.0)
    due.defer(A, 1.0, plan(findings=(finding("unknown-profile", "message"),)))
    assert due.waits_for_object(A)
    due.changed([A], 2.0)  # the profile arrives
    assert due.due(3.0) == DueAccounts(frozenset({A}))


def test_an_account_without_an_event_does_not_wait() -> None:
    assert queue().defer(A, 1.0, STAMPS) is None


def test_what_an_account_loses_with_a_neighbours_claim_waits_too() -> None:
    """A domain that waits to move stays because of an object of the account to move to."""
    neighbour, removes = (
        AccountKey("a", "other"),
        change_of_domain(Action.DELETE, Origin.DECLARED, None),
    )
    due = queue()
    due.claims_vanished({"a"}, 10.0)
    due.changed([neighbour], 10.0)
    assert due.defer(A, 11.0, DECLARES) is None
    assert due.defer(B, 11.0, plan(removes)) is None, "in another namespace"
    assert due.defer(A, 11.0, plan(removes)) is not None
    due.reconciled(DueAccounts(frozenset({A, neighbour})), {}, {neighbour}, 11.1)
    assert due.due(14.9) is None
    assert due.due(15.0) == DueAccounts(frozenset({A}))
    assert due.defer(A, 15.0, plan(removes)) is None


def test_an_approval_of_an_account_that_settles_does_not_hurry_it() -> None:
    due = queue()
    due.changed([A], 0.0)
    due.due_now([A], 0.1)
    assert due.due(0.2) is None
    due.due_now([B], 0.2)
    assert due.due(0.2) == DueAccounts(frozenset({B}))


def test_a_retry_of_an_account_that_settles_does_not_hurry_it() -> None:
    due = queue()
    due.due_now([A], 0.0)
    due.reconciled(DueAccounts(frozenset({A})), {A: RoundState.RETRY}, {A}, 0.0)
    due.changed([A], 0.9)
    assert due.next() == pytest.approx(1.9)
    assert due.due(1.5) is None


def test_a_failed_round_is_repeated_after_a_while() -> None:
    due = queue()
    due.changed([A], 0.0)
    assert due.due(1.0) is not None
    wait = due.round_failed(1.0)
    assert due.due(1.0) is None
    assert due.next() == 1.0 + wait
    assert due.due(1.0 + wait) == DueAccounts(frozenset({A}))


def test_the_platform_concerns_every_account() -> None:
    assert with_platform(DueAccounts(frozenset({PLATFORM, A}))) == DueAccounts(None)
    assert with_platform(DueAccounts(frozenset({A}))) == DueAccounts(frozenset({A}))


events = st.lists(
    st.tuples(st.sampled_from([A, B]), st.floats(0.0, 3.0, allow_nan=False)),
    min_size=1,
    max_size=60,
)


@given(events, st.sampled_from([STAMPS, DECLARES]))
def test_every_account_is_reconciled_in_time_and_never_too_early(
    arrivals: list[tuple[Owner, float]], planned: AccountPlan
) -> None:
    """Whatever the events: at most a minute after the first one, and after they have settled."""
    due, now = queue(), 0.0
    seconds, _ = settle_time(planned, TIMES)
    first: dict[Owner, float] = {}
    last: dict[Owner, float] = {}

    def advance(until: float) -> None:
        nonlocal now
        while due.next() <= until:
            now = max(now, due.next())
            batch = due.due(now)
            assert batch is not None
            assert batch.accounts is not None
            done = set()
            for owner in batch.accounts:
                assert isinstance(owner, AccountKey)
                if due.defer(owner, now, planned) is None:
                    done.add(owner)
            for owner in done:
                without_event = now - last[owner]
                assert without_event >= seconds - 1e-6 or now - first[owner] >= 60.0 - 1e-6
                assert now - first[owner] <= 60.0 + 1e-6
                del first[owner], last[owner]
            states = dict.fromkeys(done, RoundState.COMPLETE)
            due.reconciled(batch, states, done, now)
        now = until

    for owner, pause in arrivals:
        advance(now + pause)
        due.changed([owner], now)
        first.setdefault(owner, now)
        last[owner] = now
    advance(now + 61.0)
    assert first == {}
    assert due.depth == 0
