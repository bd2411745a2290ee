"""What relays read, whole or since a revision, and what they report."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace
from tests.store.conftest import Say
from tests.store.raw import opened
from tests.store.test_switching import filled

from sendroute.model.current import AccountState, DomainState
from sendroute.model.platform import Managed, Platform, Relay
from sendroute.model.profile import Encryption, Profile
from sendroute.model.provenance import Head
from sendroute.model.records import DomainRoute
from sendroute.model.route import MANAGED, UNCONFIGURED, Origin, RouteKind, via
from sendroute.store.backups import backup_store
from sendroute.store.create import init_store
from sendroute.store.record import Store

RELAY = Relay("relay.internal.example", 587, Encryption.STARTTLS, "relay")
PLATFORM = Platform(Managed(None, "smtp.example", (), RELAY), plans=())


class Update(NamedTuple):
    """An update as it was read: endpoints by alias, with whether they sign in and are retired."""

    is_whole: bool
    revision: int
    endpoints: dict[str, tuple[bool, bool]]
    domains: dict[str, DomainRoute]


def update(store: Store, since: Head | None = None, lineage: str | None = None) -> Update:
    lineage = lineage or store.status().lineage
    with store.relay_update(lineage, since) as read:
        endpoints = {
            endpoint.alias: (signs_in, endpoint.retired is not None)
            for endpoint, signs_in in read.endpoints
        }
        domains = {route.domain: route for route in read.domains}
        return Update(read.is_whole, read.head.revision, endpoints, domains)


def state(route: Any) -> DomainState:
    return DomainState(route, Origin.DECLARED, route)


@pytest.fixture
def served(store: Store, say: Say) -> Head:
    """The revision after an account with a profile and three domains was created."""
    made = [
        say.domain("a.example", None, state(via("ses"))),
        say.domain("b.example", None, state(MANAGED)),
        say.domain("c.example", None, state(UNCONFIGURED)),
    ]
    start = say.plan(0, say.account(), say.profile("ses"), *made)
    store.commit([start], say.platform_change(None, PLATFORM), say.provenance)
    return store.head()


A = DomainRoute("a.example", RouteKind.PROFILE, (1, 1))
B = DomainRoute("b.example", RouteKind.MANAGED)
C = DomainRoute("c.example", RouteKind.UNCONFIGURED)


@pytest.mark.usefixtures("served")
def test_the_first_update_is_everything(store: Store) -> None:
    whole = update(store)
    assert whole == Update(
        True,
        1,
        {"p1r1": (True, False), "m0r1": (True, False)},
        {"a.example": A, "b.example": B, "c.example": C},
    )
    assert list(whole.domains) == ["a.example", "b.example", "c.example"]


def test_without_a_change_an_update_is_empty(store: Store, served: Head) -> None:
    assert update(store, served) == Update(False, 1, {}, {})


def test_a_new_domain_is_the_whole_update(store: Store, say: Say, served: Head) -> None:
    store.commit(
        [say.plan(1, say.domain("new.example", None, state(via("ses"))))], None, say.provenance
    )
    new = DomainRoute("new.example", RouteKind.PROFILE, (1, 1))
    assert update(store, served) == Update(False, 2, {}, {"new.example": new})


def test_a_domain_that_was_deleted_is_in_the_update(store: Store, say: Say, served: Head) -> None:
    gone = say.domain("a.example", state(via("ses")), None)
    store.commit([say.plan(1, gone)], None, say.provenance)
    assert update(store, served).domains == {"a.example": DomainRoute("a.example", None)}


def test_a_domain_that_moved_to_another_account_is_in_the_update(
    store: Store, say: Say, other: Say, served: Head
) -> None:
    gone = say.domain("a.example", state(via("ses")), None)
    store.commit([say.plan(1, gone)], None, say.provenance)
    store.commit([other.start("a.example", route=via("ses"))], None, say.provenance)
    moved = DomainRoute("a.example", RouteKind.PROFILE, (2, 1))
    assert update(store, served) == Update(False, 3, {"p2r1": (True, False)}, {"a.example": moved})


def test_a_changed_profile_brings_its_domains(store: Store, say: Say, served: Head) -> None:
    after = Profile("new.ses.example", 587, Encryption.STARTTLS)
    store.commit([say.plan(1, say.profile("ses", say.ses, after))], None, say.provenance)
    assert update(store, served) == Update(
        False,
        2,
        {"p1r1": (False, True), "p1r2": (False, False)},
        {"a.example": DomainRoute("a.example", RouteKind.PROFILE, (1, 2))},
    )


def test_a_deleted_profile_is_retired(store: Store, say: Say, served: Head) -> None:
    moved = say.domain("a.example", state(via("ses")), state(UNCONFIGURED))
    plan = say.plan(1, moved, say.profile("ses", say.ses, None))
    store.commit([plan], None, say.provenance)
    assert update(store, served) == Update(
        False,
        2,
        {"p1r1": (False, True)},
        {"a.example": DomainRoute("a.example", RouteKind.UNCONFIGURED)},
    )


@pytest.mark.usefixtures("served")
def test_an_account_of_the_same_profile_name_is_not_touched(
    store: Store, say: Say, other: Say
) -> None:
    store.commit([other.start("d.example", route=via("ses"))], None, say.provenance)
    at = store.head()
    after = Profile("new.ses.example", 587, Encryption.STARTTLS)
    store.commit([say.plan(1, say.profile("ses", say.ses, after))], None, say.provenance)
    assert update(store, at).domains.keys() == {"a.example"}


def test_a_changed_platform_needs_everything(store: Store, say: Say, served: Head) -> None:
    after = Platform(None, ())
    store.commit([], say.platform_change(PLATFORM, after), say.provenance)
    whole = update(store, served)
    assert whole.is_whole
    assert whole.endpoints == {"p1r1": (True, False)}


def test_a_new_plan_of_an_account_changes_no_domain(store: Store, say: Say, served: Head) -> None:
    change = say.account(AccountState("nano"), AccountState("pro"))
    store.commit([say.plan(1, change)], None, say.provenance)
    assert update(store, served) == Update(False, 2, {}, {})


def test_other_logins_of_an_account_bring_its_domains(
    store: Store, say: Say, other: Say, served: Head
) -> None:
    store.commit([other.start("d.example")], None, say.provenance)
    named = AccountState("nano", logins=("app", "crm"))
    store.commit([say.plan(1, say.account(AccountState("nano"), named))], None, say.provenance)
    at = store.head()
    expected = {route.domain: route._replace(logins=("app", "crm")) for route in (A, B, C)}
    changed = update(store, served)
    assert changed.domains.pop("d.example").logins == ()
    assert changed.domains == expected
    assert update(store).domains["a.example"].logins == ("app", "crm")
    moved = say.domain("a.example", state(via("ses")), None)
    store.commit([say.plan(at.revision, moved)], None, say.provenance)
    new = other.domain("a.example", None, state(UNCONFIGURED))
    store.commit([other.plan(2, new)], None, say.provenance)
    assert update(store, at).domains["a.example"].logins == (), "its new account specifies none"
    open_again = say.account(named, AccountState("nano"))
    store.commit([say.plan(at.revision + 1, open_again)], None, say.provenance)
    assert {route.logins for route in update(store, at).domains.values()} == {()}


def test_a_relay_for_bounces_signs_in_as_its_secret_says(store: Store, say: Say) -> None:
    bounces = Relay("bounces.example", 587, Encryption.STARTTLS)
    both = replace(PLATFORM, bounces=bounces)
    store.commit([], say.platform_change(None, both), say.provenance)
    assert update(store).endpoints == {"b0r1": (False, False), "m0r1": (True, False)}


def test_a_whole_switch_is_in_the_update(store: Store, say: Say) -> None:
    changes = filled(store, say)
    at = store.head()
    store.commit([say.plan(1, *changes)], None, say.provenance)
    switched = update(store, at)
    assert not switched.is_whole
    assert len(switched.domains) == 300
    assert {route.profile for route in switched.domains.values()} == {(1, 1)}


def test_several_revisions_are_one_update(store: Store, say: Say, served: Head) -> None:
    for number, name in enumerate(("x.example", "y.example"), 1):
        new = say.domain(name, None, state(MANAGED))
        store.commit([say.plan(number, new)], None, say.provenance)
    assert update(store, served).domains.keys() == {"x.example", "y.example"}
    assert update(store, served).revision == 3


def test_a_store_with_another_history_is_read_whole(store: Store, served: Head) -> None:
    assert update(store, Head(1, "of another store")).is_whole
    assert update(store, served, "another lineage").is_whole
    assert update(store, Head(99, None)).is_whole


def test_after_many_revisions_everything_is_read(
    store: Store, say: Say, served: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sendroute.store import relays

    monkeypatch.setattr(relays, "_MAX_REVISIONS", 1)
    for number, name in enumerate(("x.example", "y.example"), 1):
        new = say.domain(name, None, state(MANAGED))
        store.commit([say.plan(number, new)], None, say.provenance)
    assert update(store, served).is_whole


def test_a_restored_store_is_read_whole(store_url: str, say: Say, tmp_path: Path) -> None:
    with init_store(store_url, say.provenance) as store:
        store.commit([say.start("a.example")], None, say.provenance)
        backup_store(store_url, tmp_path / "early.db")
        new = say.domain("new.example", None, state(MANAGED))
        store.commit([say.plan(1, new)], None, say.provenance)
        lost, lineage = store.head(), store.status().lineage
    again = f"sqlite:///{tmp_path}/again.db"
    with init_store(again, say.provenance, from_backup=tmp_path / "early.db") as restored:
        assert update(restored, lost, lineage).is_whole
        assert not restored.report_relay("mx1", lost)
        assert restored.relays() == ()


def test_a_relay_reports_what_it_serves(store: Store, say: Say, served: Head) -> None:
    assert store.report_relay("mx1", served)
    [relay] = store.relays()
    assert (relay.name, relay.revision, relay.behind_since) == ("mx1", 1, None)
    assert 0 <= relay.age < 30
    new = say.domain("new.example", None, state(MANAGED))
    store.commit([say.plan(1, new)], None, say.provenance)
    [relay] = store.relays()
    assert relay.behind_since == say.provenance.at
    assert store.report_relay("mx1", store.head())
    [relay] = store.relays()
    assert (relay.revision, relay.behind_since) == (2, None)
    assert store.head().revision == 2, "a report is no revision"


@pytest.mark.usefixtures("served")
def test_a_relay_cannot_report_a_revision_that_the_store_does_not_contain(store: Store) -> None:
    assert not store.report_relay("mx1", Head(1, "of another store"))
    assert store.relays() == ()


def test_a_forgotten_relay_is_gone(store: Store, served: Head) -> None:
    store.report_relay("mx1", served)
    assert store.forget_relay("mx1")
    assert store.relays() == ()
    assert not store.forget_relay("mx1")


def test_the_age_of_a_relay_is_by_the_clock_of_the_store(
    store: Store, store_url: str, served: Head
) -> None:
    store.report_relay("mx1", served)
    with opened(store_url) as raw:
        if store_url.startswith("postgresql"):
            raw.execute("UPDATE relay SET seen_at = seen_at - interval '90 seconds'")  # type: ignore[arg-type]
        else:
            raw.execute("UPDATE relay SET seen_at = datetime(seen_at, '-90 seconds')")
    [relay] = store.relays()
    assert 90 <= relay.age < 120
