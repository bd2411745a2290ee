"""An apply-all written as one set equals the same apply-all written domain by domain."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from sendroute.model.change import ObjectChange
from sendroute.model.current import AccountState, DomainState, RanApplyAll
from sendroute.model.route import MANAGED, UNCONFIGURED, Origin, via
from sendroute.store.create import init_store
from sendroute.store.record import Store

NAMES = [f"d{number:03}.example" for number in range(300)]
STATES = (
    DomainState(MANAGED, Origin.DEFAULT),
    DomainState(UNCONFIGURED, Origin.DECLARED, UNCONFIGURED),
    DomainState(via("ses"), Origin.DECLARED, via("ses"), overrides="earlier"),
    DomainState(via("ses"), Origin.APPLY_ALL, MANAGED, 'earlier "one" \\ é'),
)


def after(before: DomainState) -> DomainState:
    return DomainState(via("ses"), Origin.APPLY_ALL, before.declared, "once", before.overrides)


def filled(store: Store, say: Any) -> list[ObjectChange]:
    """Fill the store and return the changes of an apply-all."""
    earlier = (STATES[3].shadow, RanApplyAll(via("ses"), 75))
    current = {name: STATES[number % 4] for number, name in enumerate(NAMES)}
    made = [say.domain(name, None, state) for name, state in current.items()]
    start = say.plan(0, say.account(ran=earlier), say.profile("ses"), *made)
    store.commit([start], None, say.provenance)
    state = AccountState("nano")
    run = say.account(state, state, ran=("once", RanApplyAll(via("ses"), len(NAMES))))
    return [run, *(say.domain(name, state, after(state)) for name, state in current.items())]


def latest_entry(store: Store, name: str) -> Any:
    entry = store.history(domain=name)[0]
    return entry.action, entry.before, entry.after, entry.reason, entry.message, entry.revision


def statements(store: Store) -> list[str]:
    seen: list[str] = []

    def record(*args: Any) -> None:
        seen.append(args[2])

    event.listen(store._database.engine, "before_cursor_execute", record)
    return seen


def test_bulk_switch_equals_single_domain_writes(tmp_path: Path, say: Any) -> None:
    with (
        init_store(f"sqlite:///{tmp_path}/set.db", say.provenance) as as_set,
        init_store(f"sqlite:///{tmp_path}/each.db", say.provenance) as singly,
    ):
        changes = filled(as_set, say)
        filled(singly, say)
        seen = statements(as_set)
        as_set.commit([say.plan(1, *changes)], None, say.provenance)
        assert len([text for text in seen if text.startswith("UPDATE domain")]) == 1
        assert any("INSERT INTO switched" in text for text in seen)
        # A different message of one domain prevents that the domains are written as a set.
        single = say.domain(NAMES[0], STATES[0], after(STATES[0]), message="Alone.")
        seen = statements(singly)
        singly.commit([say.plan(1, changes[0], single, *changes[2:])], None, say.provenance)
        assert not any("INSERT INTO switched" in text for text in seen)
        assert as_set.routes() == singly.routes()
        for name in NAMES[1:]:
            assert latest_entry(as_set, name) == latest_entry(singly, name)
        switched, single = as_set.read().accounts[say.key], singly.read().accounts[say.key]
        assert switched.completed_apply_alls == single.completed_apply_alls


def test_unchanged_route_keeps_its_revision(store: Store, say: Any) -> None:
    store.commit([say.plan(1, *filled(store, say))], None, say.provenance)
    since = {row.domain: row.revision for row in store.routes()}
    assert [since[name] for name in NAMES[:4]] == [2, 2, 1, 1]


def test_a_domain_created_by_the_same_change_is_shadowed_too(store: Store, say: Any) -> None:
    new = say.domain("new.example", None, after(DomainState(MANAGED, Origin.DEFAULT)))
    store.commit([say.plan(1, *filled(store, say), new)], None, say.provenance)
    states = store.read().accounts[say.key].domains
    assert len(states) == 301
    assert {state.shadow for state in states.values()} == {"once"}


@pytest.mark.parametrize("newly", [True, False])
def test_a_domain_that_overrides_the_apply_all_keeps_its_declared_route(
    store: Store, say: Any, newly: bool
) -> None:
    """Its change, if it has one, is in the same plan; its state before is that of many others."""
    changes = filled(store, say)
    kept = NAMES[1]
    before = STATES[1]
    state = DomainState(UNCONFIGURED, Origin.DECLARED, UNCONFIGURED, None, "once")
    plans = [change for change in changes if change.name != kept]
    if newly:
        plans.append(say.domain(kept, before, state))
    store.commit([say.plan(1, *plans)], None, say.provenance)
    domains = store.read().accounts[say.key].domains
    assert domains.pop(kept) == (state if newly else before)
    assert {domain.shadow for domain in domains.values()} == {"once"}


@pytest.mark.parametrize("suspended", [NAMES[0], NAMES[299]])
def test_a_suspended_domain_is_not_switched(store: Store, say: Any, suspended: str) -> None:
    changes = [change for change in filled(store, say) if change.name != suspended]
    before = store.read().accounts[say.key].domains[suspended]
    store.commit([say.plan(1, *changes)], None, say.provenance)
    states = store.read().accounts[say.key].domains
    assert states.pop(suspended) == before
    assert {state.shadow for state in states.values()} == {"once"}
    assert len(store.history(domain=suspended)) == 1
