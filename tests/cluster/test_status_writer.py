"""Statuses are written when they change, by a few threads, and nothing waits for them."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from time import monotonic

import msgspec
import pytest
from tests.cluster.projected import DOMAIN, objects_in, with_spec
from tests.cluster.recording_api import RecordingApi, Request

from sendroute.cluster.api import NO_ANSWER, ApiError
from sendroute.cluster.objects import ClusterObject, ObjectKey, packed
from sendroute.cluster.status_writer import StatusWriter
from sendroute.manifests.statuses import Condition, SendingDomainStatus, encode_status

AT = datetime(2026, 11, 28, 20, 0, tzinfo=UTC)
TRANSIENT = [NO_ANSWER, 429, 500, 503]


def domain(name: str = "shop", uid: str = "u1", version: str = "10") -> ClusterObject:
    [seen] = objects_in(with_spec(DOMAIN, name))
    return msgspec.structs.replace(seen, uid=uid, resource_version=version)


def status(text: str, at: datetime = AT) -> SendingDomainStatus:
    condition = Condition(
        type="Ready",
        status="True",
        reason="Applied",
        message=text,
        observed_generation=1,
        last_transition_time=at,
    )
    return SendingDomainStatus(observed_generation=1, conditions=[condition], route_text=text)


def seen_with(seen: ClusterObject, written: SendingDomainStatus, version: str) -> ClusterObject:
    return msgspec.structs.replace(
        seen,
        held_status=packed(msgspec.json.encode(encode_status(written))),
        resource_version=version,
    )


@pytest.fixture
def api() -> RecordingApi:
    return RecordingApi()


@pytest.fixture
def writer(api: RecordingApi) -> Iterator[StatusWriter]:
    status_writer = StatusWriter(api, workers=3, random=lambda: 0.01)
    yield status_writer
    api.gate.set()
    status_writer.stop()


def texts(api: RecordingApi) -> list[str]:
    return [request.body["status"]["routeText"] for request in api.requests]


def test_a_status_is_written_by_server_side_apply(api: RecordingApi, writer: StatusWriter) -> None:
    assert writer.put(domain(), status("managed"))
    assert writer.wait(10)
    [request] = api.requests
    assert (request.method, request.path) == (
        "PATCH",
        "/apis/sendroute.dev/v1alpha1/namespaces/acme/sendingdomains/shop/status",
    )
    assert request.query == [("fieldManager", "sendroute"), ("force", "true")]
    assert request.content_type == "application/apply-patch+yaml"
    assert request.body.keys() == {"apiVersion", "kind", "metadata", "status"}
    assert request.body["metadata"] == {"name": "shop", "namespace": "acme"}
    assert request.body["status"] == encode_status(status("managed"))


def test_nothing_is_written_when_nothing_changed(api: RecordingApi, writer: StatusWriter) -> None:
    seen = domain()
    for _ in range(3):  # the watch is behind, so the object still has no status
        writer.put(seen, status("managed"))
        assert writer.wait(10)
    assert len(api.requests) == 1
    seen = seen_with(seen, status("managed"), "1000")
    assert not writer.put(seen, status("managed"))
    assert writer.wait(10)
    assert len(api.requests) == 1
    assert writer.put(seen, status("unconfigured"))
    assert writer.wait(10)
    assert len(api.requests) == 2


def test_what_another_writer_changed_is_written_again(
    api: RecordingApi, writer: StatusWriter
) -> None:
    writer.put(domain(), status("managed"))
    assert writer.wait(10)
    changed = seen_with(domain(), status("profile x"), "1001")
    assert writer.put(changed, status("managed"))
    assert writer.wait(10)
    assert len(api.requests) == 2


def test_the_latest_status_is_that_on_its_way(api: RecordingApi, writer: StatusWriter) -> None:
    seen = domain()
    assert writer.latest(seen).status is None
    api.gate.clear()
    writer.put(seen, status("managed"))
    assert writer.latest(seen).status == encode_status(status("managed"))
    api.gate.set()
    assert writer.wait(10)
    assert writer.latest(seen).status == encode_status(status("managed"))
    assert writer.latest(domain(uid="u2")).status is None, "another object of the same name"
    newer = seen_with(seen, status("profile x"), "1000")
    assert writer.latest(newer).status == newer.status


def test_the_newest_status_wins_and_one_object_is_never_written_twice_at_once(
    api: RecordingApi, writer: StatusWriter
) -> None:
    api.gate.clear()
    writer.put(domain(), status("1"))
    api.wait_for(1)
    for number in range(2, 50):
        writer.put(domain(), status(str(number)))
    assert api.at_once == 1
    api.gate.set()
    assert writer.wait(10)
    assert texts(api) == ["1", "49"]


def test_a_hanging_api_holds_up_nobody_and_the_pool_is_bounded(
    api: RecordingApi, writer: StatusWriter
) -> None:
    api.gate.clear()
    [*objects] = (
        msgspec.structs.replace(domain(), key=ObjectKey("SendingDomain", "acme", f"d{number}"))
        for number in range(1000)
    )
    started = monotonic()
    for seen in objects:
        writer.put(seen, status("managed"))
    assert monotonic() - started < 5
    assert writer.depth == 1000
    api.wait_for(3)
    api.gate.set()
    assert writer.wait(30)
    assert len(api.requests) == 1000
    assert api.most_at_once == 3


@pytest.mark.parametrize("code", [*TRANSIENT, 409, 403])
def test_a_failed_write_is_repeated(api: RecordingApi, writer: StatusWriter, code: int) -> None:
    api.fails = lambda _, number: ApiError(code, "no") if number < 2 else None
    writer.put(domain(), status("managed"))
    assert writer.wait(20)
    assert len(api.requests) == 3


def test_a_status_that_conflicts_again_and_again_is_written_later(
    api: RecordingApi, writer: StatusWriter
) -> None:
    api.fails = lambda _, number: ApiError(409, "conflict") if number < 5 else None
    writer.put(domain(), status("managed"))
    assert writer.wait(30)
    assert len(api.requests) == 6


def test_the_newest_status_is_the_one_that_is_repeated(
    api: RecordingApi, writer: StatusWriter
) -> None:
    api.gate.clear()
    api.fails = lambda _, number: ApiError(409, "conflict") if number == 0 else None
    writer.put(domain(), status("old"))
    api.wait_for(1)
    writer.put(domain(), status("new"))
    api.gate.set()
    assert writer.wait(10)
    assert texts(api) == ["old", "new"]


@pytest.mark.parametrize(("code", "requests"), [(404, 1), (422, 1), (400, 1)])
def test_what_cannot_succeed_is_given_up(
    api: RecordingApi, writer: StatusWriter, code: int, requests: int
) -> None:
    api.fails = lambda *_: ApiError(code, "no")
    writer.put(domain(), status("managed"))
    assert writer.wait(20)
    assert len(api.requests) == requests


def test_an_api_that_is_away_is_not_asked_for_every_object(api: RecordingApi) -> None:
    api.fails = lambda *_: ApiError(NO_ANSWER, "away")
    writer = StatusWriter(api, workers=3, random=lambda: 1.0)
    try:
        for number in range(500):
            writer.put(domain(f"d{number}"), status("managed"))
        api.wait_for(6)
        assert len(api.requests) < 20
    finally:
        writer.stop()


def in_namespace(name: str, namespace: str) -> ClusterObject:
    seen = domain(name)
    return msgspec.structs.replace(seen, key=seen.key._replace(namespace=namespace))


def test_an_api_that_fails_in_several_namespaces_is_not_asked_for_every_object(
    api: RecordingApi,
) -> None:
    api.fails = lambda *_: ApiError(500, "etcd has no leader")
    writer = StatusWriter(api, workers=3, random=lambda: 1.0)
    try:
        for number in range(500):
            writer.put(in_namespace("shop", f"n{number}"), status("managed"))
        api.wait_for(4)
        assert len(api.requests) < 20
    finally:
        writer.stop()


def test_objects_of_one_tenant_that_cannot_be_written_delay_no_other_status(
    api: RecordingApi,
) -> None:
    def fails(request: Request, _: int) -> ApiError | None:
        huge = "/evil/" in request.path
        return ApiError(500, "etcdserver: request is too large") if huge else None

    api.fails = fails
    now = 0.0  # no pause ends
    writer = StatusWriter(api, workers=1, random=lambda: 1.0, clock=lambda: now)
    try:
        for number in range(20):
            writer.put(in_namespace(f"huge{number}", "evil"), status("managed"))
        for number in range(20):
            writer.put(in_namespace("shop", f"n{number}"), status("managed"))
        api.wait_for(40)
    finally:
        writer.stop()


def test_the_wait_that_the_api_asks_for_is_kept(api: RecordingApi, writer: StatusWriter) -> None:
    times: list[float] = []

    def fails(_: Request, number: int) -> ApiError | None:
        times.append(monotonic())
        return ApiError(429, "slow down", retry_after=0.5) if number == 0 else None

    api.fails = fails
    writer.put(domain(), status("managed"))
    assert writer.wait(10)
    assert times[1] - times[0] >= 0.5


def test_an_unexpected_error_ends_no_thread(api: RecordingApi, writer: StatusWriter) -> None:
    def fails(_: Request, number: int) -> ApiError | None:
        if number < 5:
            raise RuntimeError("unexpected")
        return None

    api.fails = fails
    for number in range(6):
        writer.put(domain(f"d{number}"), status("managed"))
        assert writer.wait(10)
    assert len(api.requests) == 6


def test_stopping_writes_nothing_more_and_ends_every_thread(api: RecordingApi) -> None:
    before = set(threading.enumerate())
    writer = StatusWriter(api, workers=3)
    api.gate.clear()
    for number in range(10):
        writer.put(domain(f"d{number}"), status("managed"))
    api.wait_for(3)
    stopping = threading.Thread(target=writer.stop)
    stopping.start()
    api.gate.set()
    stopping.join(10)
    assert not stopping.is_alive()
    assert len(api.requests) <= 6, "only what was being written"
    assert not writer.put(domain("late"), status("managed"))
    assert {t for t in threading.enumerate() if t.name.startswith("status-")} <= before
