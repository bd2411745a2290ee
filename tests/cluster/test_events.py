"""Events: what a person should notice, once, and never a flood."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from tests.cluster.projected import (
    ACCOUNT,
    DOMAIN,
    PLATFORM,
    PROFILE,
    Cluster,
    documents,
    objects_in,
    with_spec,
)
from tests.cluster.recording_api import RecordingApi, Request

from sendroute.cluster.api import ApiError
from sendroute.cluster.events import MANY, QUEUED, Event, EventWriter, StatusChange, events_of
from sendroute.cluster.objects import ObjectKey
from sendroute.cluster.reporter import ClusterReporter
from sendroute.manifests.statuses import (
    HeldBackAccount,
    MailPlatformStatus,
    decode_status,
)

SES = with_spec(DOMAIN, route={"profile": "ses"})
MANAGED = with_spec(DOMAIN, route={"managed": {}})
VALID = documents(PLATFORM, ACCOUNT, PROFILE, SES)


def after(before: str, now: str, **fields: Any) -> list[Event]:
    """The events when these documents replace the other ones, and none by reconciling again."""
    cluster = Cluster()
    cluster.apply(before)
    first = cluster.objects
    written = cluster.apply(now, fields=fields or None)
    events = list(events_of(changes(cluster, first, written)))
    second = cluster.objects
    again = cluster.apply(now, fields=fields or None)
    assert not list(events_of(changes(cluster, second, again)))
    return events


def changes(cluster: Cluster, before: Any, written: Any) -> list[StatusChange]:
    old = {seen.key: seen.status_json for seen in before}
    status_changes = []
    for seen in cluster.objects:
        if seen.key in written:
            now = decode_status(seen.key.kind, msgspec.json.encode(written[seen.key]))
            assert now is not None
            status_changes.append(
                StatusChange(seen, decode_status(seen.key.kind, old.get(seen.key, b"")), now)
            )
    return status_changes


def short(events: list[Event]) -> list[tuple[str, bool, str]]:
    return [(str(event.key), event.is_warning, event.reason) for event in events]


def test_a_new_route_of_a_domain_is_an_event() -> None:
    [event] = after(VALID, documents(PLATFORM, ACCOUNT, PROFILE, MANAGED))
    assert short([event]) == [("SendingDomain/acme/shop", False, "RouteChanged")]
    assert event.note == "The route is managed (declared); it was profile ses."


def test_a_first_route_is_none() -> None:
    assert after(documents(PLATFORM, ACCOUNT, PROFILE), VALID) == []


def test_a_deleted_profile_is_seen_at_its_domains() -> None:
    events = after(VALID, documents(PLATFORM, ACCOUNT, SES))
    assert short(events) == [
        ("SendingDomain/acme/shop", False, "RouteChanged"),
        ("SendingDomain/acme/shop", True, "ProfileNotFound"),
    ]


def test_a_default_that_fell_back_is_a_warning() -> None:
    account = with_spec(ACCOUNT, defaultRoute={"profile": "ses"})
    events = after(documents(PLATFORM, account, PROFILE), documents(PLATFORM, account))
    assert short(events) == [("MailAccount/acme/acme", True, "DefaultFellBack")]


def test_what_is_well_again_is_an_event() -> None:
    events = after(documents(PLATFORM, ACCOUNT, SES), VALID)
    assert ("SendingDomain/acme/shop", False, "Ready") in short(events)


def test_a_conflict_is_a_warning() -> None:
    other = ACCOUNT.replace("acme", "zeta")
    claim = DOMAIN.replace("acme", "zeta")
    before = documents(PLATFORM, ACCOUNT, other, DOMAIN)
    events = after(before, documents(PLATFORM, ACCOUNT, other, DOMAIN, claim))
    assert short(events) == [("SendingDomain/zeta/shop", True, "DomainConflict")]


def domains(count: int, **spec: Any) -> str:
    return documents(
        PLATFORM,
        ACCOUNT,
        PROFILE,
        *(
            with_spec(DOMAIN, f"d{i:02}", domain=f"d{i:02}.example.com", **spec)
            for i in range(count)
        ),
    )


def test_what_is_held_back_is_a_warning_that_says_how_to_approve_it() -> None:
    cluster = Cluster()
    cluster.apply(domains(12))
    before = cluster.objects
    written = cluster.apply(domains(2))
    [event] = events_of(changes(cluster, before, written))
    assert short([event]) == [("MailAccount/acme/acme", True, "HeldBack")]
    assert "set the annotation sendroute.dev/approve to" in event.note


def test_many_changed_domains_are_one_event() -> None:
    cluster = Cluster()
    text = domains(200)
    cluster.apply(text)
    before = cluster.objects
    to_ses = {"id": "to-ses", "route": {"profile": "ses"}, "confirm": {"domains": 200}}
    written = cluster.apply(text.replace(ACCOUNT, with_spec(ACCOUNT, applyToAll=to_ses)))
    events = list(events_of(changes(cluster, before, written)))
    assert short(events) == [
        ("MailAccount/acme/acme", False, "RoutesChanged"),
        ("MailAccount/acme/acme", False, "ApplyAllRan"),
    ]
    assert "200 objects" in events[0].note
    assert "200 in all" in events[1].note


def test_an_account_that_waits_has_its_events_when_it_is_settled(api: RecordingApi) -> None:
    cluster = Cluster()
    cluster.apply(documents(PLATFORM, ACCOUNT, SES))
    [reconciled] = [item for item in cluster.reconciled.values() if len(item.objects) == 2]
    new = [msgspec.structs.replace(seen, held_status=b"") for seen in reconciled.objects]
    reconciled = msgspec.structs.replace(reconciled, objects=tuple(new))
    reporter = ClusterReporter(api)
    try:
        for waiting in ("profile ses does not exist", None, None):
            reporter.account(msgspec.structs.replace(reconciled, waiting=waiting))
            assert reporter.writer.wait(20)
            assert reporter.events.wait(20)
            events = [item.body["reason"] for item in api.requests if "/events" in item.path]
            assert events == ([] if waiting else ["ProfileNotFound"])
    finally:
        reporter.stop()


def held(*accounts: str) -> MailPlatformStatus:
    return MailPlatformStatus(
        held_back=[
            HeldBackAccount(namespace="acme", account=name, effect="Gone.", digest=f"d-{name}")
            for name in accounts
        ]
    )


def test_an_account_without_an_object_is_held_back_at_the_platform() -> None:
    [seen] = objects_in(PLATFORM)
    [event] = events_of([StatusChange(seen, held("a"), held("a", "b"))])
    assert short([event]) == [("MailPlatform/default", True, "HeldBack")]
    assert event.note == (
        "Gone. Mail continues as it was. If the change is intended, approve it: set the annotation"
        " sendroute.dev/approve to d-b on MailAccount b of namespace acme, or on the MailPlatform"
        " if that is gone."
    )


def test_many_accounts_that_are_held_back_are_few_events() -> None:
    [seen] = objects_in(PLATFORM)
    many = held(*(f"a{number}" for number in range(90)))
    events = list(events_of([StatusChange(seen, None, many)]))
    assert len(events) == MANY + 1
    assert events[-1].reason == "ManyHeldBack"


# Writing


class Now:
    at = datetime(2026, 11, 28, 20, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def api() -> RecordingApi:
    return RecordingApi()


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def log(api: RecordingApi, now: Now) -> Iterator[EventWriter]:
    event_writer = EventWriter(api, now=now)
    yield event_writer
    api.gate.set()
    event_writer.stop()


EVENT = Event(
    ObjectKey("SendingDomain", "acme", "shop"), "u1", True, "DomainConflict", "Reconcile", "Taken."
)


def test_an_event_is_about_its_object_in_its_namespace(api: RecordingApi, log: EventWriter) -> None:
    log.record(EVENT)
    assert log.wait(10)
    [request] = api.requests
    assert request.method == "POST"
    assert request.path == "/apis/events.k8s.io/v1/namespaces/acme/events"
    body = request.body
    assert body["regarding"] == {
        "apiVersion": "sendroute.dev/v1alpha1",
        "kind": "SendingDomain",
        "name": "shop",
        "namespace": "acme",
        "uid": "u1",
    }
    assert body["metadata"]["namespace"] == "acme"
    assert body["eventTime"] == "2026-11-28T20:00:00.000000Z"
    assert (body["type"], body["reason"], body["note"]) == ("Warning", "DomainConflict", "Taken.")


def test_the_same_event_is_one_event_with_a_series(
    api: RecordingApi, log: EventWriter, now: Now
) -> None:
    for _ in range(4):
        log.record(EVENT)
        assert log.wait(10)
        now.at += timedelta(seconds=10)
    assert [request.method for request in api.requests] == ["POST", "PATCH"]
    name = api.requests[0].body["metadata"]["name"]
    assert api.requests[1].path.endswith(f"/events/{name}")
    assert api.requests[1].body["series"]["count"] == 2
    now.at += timedelta(minutes=1)
    log.record(EVENT)
    assert log.wait(10)
    assert api.requests[-1].body["series"]["count"] == 5
    now.at += timedelta(minutes=10)
    log.record(EVENT)
    assert log.wait(10)
    assert api.requests[-1].method == "POST", "much later it is another event"


def test_a_hanging_api_holds_up_nobody_and_the_queue_is_bounded(
    api: RecordingApi, log: EventWriter
) -> None:
    api.gate.clear()
    taken = [log.record(EVENT._replace(note=str(number))) for number in range(3 * QUEUED)]
    assert sum(taken) <= QUEUED + 1
    assert not taken[-1]


def test_events_are_written_slowly_enough_for_the_api(api: RecordingApi, log: EventWriter) -> None:
    for number in range(300):
        log.record(EVENT._replace(note=str(number)))
    assert not log.wait(2)
    assert 90 <= len(api.requests) <= 200


def test_a_refused_event_is_dropped_and_the_next_one_is_written(
    api: RecordingApi, log: EventWriter, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_: Request, number: int) -> ApiError | None:
        return ApiError(403, "events is forbidden") if number < 2 else None

    api.fails = fails
    for number in range(3):
        log.record(EVENT._replace(note=str(number)))
        assert log.wait(10)
    assert len(api.requests) == 3
    assert caplog.text.count("Events are not written now") == 1


def test_an_event_about_the_platform_is_in_the_default_namespace(
    api: RecordingApi, log: EventWriter
) -> None:
    log.record(EVENT._replace(key=ObjectKey("MailPlatform", "", "default")))
    assert log.wait(10)
    assert "/namespaces/default/" in api.requests[0].path
    assert "namespace" not in api.requests[0].body["regarding"]


def test_a_long_note_is_cut(api: RecordingApi, log: EventWriter) -> None:
    log.record(msgspec.convert(EVENT._replace(note="x" * 5000), Event))
    assert log.wait(10)
    assert len(api.requests[0].body["note"]) == 1024
