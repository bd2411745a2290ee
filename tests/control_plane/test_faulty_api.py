"""Each fault is what a client would see of it, and a seed gives the same faults again."""

import http.client
import json
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from .control_plane import ControlPlane, Document
from .faulty_api import Call, FaultInjector, FaultKind, FaultyApi, InjectedFault, no_faults
from .polling import eventually
from .schedules import schedule

StartFaultyApi = Callable[[FaultInjector], FaultyApi]
_OF_THE_CLUSTER = "kube-root-ca.crt"
BROKEN = (ConnectionError, ssl.SSLError, http.client.HTTPException)


@pytest.fixture
def start_faulty_api(control_plane: ControlPlane) -> Iterator[StartFaultyApi]:
    """Start a proxy with the given faults of the API server's configmaps."""
    started: list[FaultyApi] = []

    def start(faults: FaultInjector = no_faults) -> FaultyApi:
        started.append(FaultyApi(control_plane, faults).__enter__())
        return started[-1]

    yield start
    for api in started:
        api.__exit__()


def at(fault: InjectedFault, *numbers: int) -> FaultInjector:
    """That fault of these calls."""
    return lambda _, number: fault if number in numbers else None


def path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def create(control_plane: ControlPlane, namespace: str, name: str, **more: str) -> int:
    body = {"metadata": {"name": name}}
    return control_plane.request("POST", path(namespace), body, **more).status  # type: ignore[arg-type]


def names(document: Document) -> set[str]:
    return {item["metadata"]["name"] for item in document["items"]} - {_OF_THE_CLUSTER}


@contextmanager
def watch(api: FaultyApi, namespace: str) -> Iterator[Iterator[Document]]:
    """The events of a watch of all configmaps from now on. A controller creates one soon after the
    namespace, which must not be among them."""
    server = api.control_plane
    root_certificate = f"{path(namespace)}/{_OF_THE_CLUSTER}"
    eventually(lambda: server.request("GET", root_certificate).status == 200)
    version = server.request("GET", path(namespace)).document["metadata"]["resourceVersion"]
    host = api.url.removeprefix("https://")
    client = http.client.HTTPSConnection(host, context=api.client_tls, timeout=30)
    with closing(client):
        client.request(
            "GET",
            f"{path(namespace)}?watch=true&resourceVersion={version}&timeoutSeconds=20",
            headers={"Authorization": f"Bearer {server.admin.token}"},
        )
        answer = client.getresponse()
        yield _events(answer)


def _events(answer: http.client.HTTPResponse) -> Iterator[Document]:
    """The events of a watch; read byte by byte, because readline() takes a break for the end."""
    line = b""
    while byte := answer.read(1):
        line += byte
        if byte == b"\n":
            yield json.loads(line)
            line = b""
    assert not line


def test_without_faults_it_is_the_api_server(
    control_plane: ControlPlane, start_faulty_api: StartFaultyApi, namespace: str
) -> None:
    api = start_faulty_api(no_faults)
    user = api.admin()
    control_plane.kubectl("create", "configmap", "one", "-n", namespace, user=user)
    with watch(api, namespace) as events:
        create(control_plane, namespace, "two")
        assert next(events)["object"]["metadata"]["name"] == "two"
    listed = control_plane.request("GET", path(namespace), url=api.url)
    assert names(listed.document) == {"one", "two"}
    assert api.calls["watch", "configmaps"] == 1
    assert api.injected == []


@pytest.mark.parametrize("status", [409, 410, 429, 500, 503])
def test_an_error_is_answered_instead(
    control_plane: ControlPlane, start_faulty_api: StartFaultyApi, namespace: str, status: int
) -> None:
    api = start_faulty_api(at(InjectedFault(FaultKind.ERROR, status), 0))
    assert create(control_plane, namespace, "one", url=api.url) == status
    assert create(control_plane, namespace, "one", url=api.url) == 201
    assert [fault.status for _, _, fault in api.injected] == [status]


@pytest.mark.parametrize(
    ("kind", "then"), [(FaultKind.CUT_BEFORE, 201), (FaultKind.CUT_AFTER, 409)]
)
def test_a_request_is_cut_before_or_after_it_is_done(
    control_plane: ControlPlane,
    start_faulty_api: StartFaultyApi,
    namespace: str,
    kind: FaultKind,
    then: int,
) -> None:
    api = start_faulty_api(at(InjectedFault(kind), 0))
    with pytest.raises(BROKEN):
        create(control_plane, namespace, "one", url=api.url)
    assert create(control_plane, namespace, "one", url=api.url) == then


def test_an_answer_is_delayed(
    control_plane: ControlPlane, start_faulty_api: StartFaultyApi, namespace: str
) -> None:
    api = start_faulty_api(at(InjectedFault(FaultKind.DELAY, seconds=0.3), 0))
    started = time.monotonic()
    assert create(control_plane, namespace, "one", url=api.url) == 201
    assert time.monotonic() - started >= 0.3


def test_a_list_is_stale(
    control_plane: ControlPlane, start_faulty_api: StartFaultyApi, namespace: str
) -> None:
    api = start_faulty_api(at(InjectedFault(FaultKind.STALE_LIST), 1))
    create(control_plane, namespace, "old")

    def listed() -> set[str]:
        return names(control_plane.request("GET", path(namespace), url=api.url).document)

    assert listed() == {"old"}
    create(control_plane, namespace, "new")
    assert listed() == {"old"}
    assert listed() == {"old", "new"}


@pytest.mark.parametrize("kind", [FaultKind.CUT_WATCH, FaultKind.CUT_EVENT])
def test_a_watch_is_cut(
    control_plane: ControlPlane, start_faulty_api: StartFaultyApi, namespace: str, kind: FaultKind
) -> None:
    api = start_faulty_api(at(InjectedFault(kind, events=1), 0))
    with watch(api, namespace) as events:
        create(control_plane, namespace, "one")
        create(control_plane, namespace, "two")
        assert next(events)["object"]["metadata"]["name"] == "one"
        with pytest.raises(BROKEN):
            next(events)


def test_a_watch_ends(
    control_plane: ControlPlane, start_faulty_api: StartFaultyApi, namespace: str
) -> None:
    api = start_faulty_api(at(InjectedFault(FaultKind.END_WATCH, events=1), 0))
    with watch(api, namespace) as events:
        create(control_plane, namespace, "one")
        assert len(list(events)) == 1


def test_a_watch_expires(
    control_plane: ControlPlane, start_faulty_api: StartFaultyApi, namespace: str
) -> None:
    api = start_faulty_api(at(InjectedFault(FaultKind.EXPIRE_WATCH, events=1), 0))
    with watch(api, namespace) as events:
        create(control_plane, namespace, "one")
        _, last = list(events)
    assert (last["type"], last["object"]["code"]) == ("ERROR", 410)


def test_an_open_watch_breaks_when_the_server_goes_down(
    control_plane: ControlPlane, start_faulty_api: StartFaultyApi, namespace: str
) -> None:
    api = start_faulty_api(no_faults)
    with watch(api, namespace) as events:
        create(control_plane, namespace, "one")
        next(events)
        api.go_down()
        with pytest.raises((*BROKEN, StopIteration)):  # by when the connection is closed
            next(events)
    with pytest.raises(ConnectionError):
        create(control_plane, namespace, "two", url=api.url)
    api.come_up()
    assert create(control_plane, namespace, "two", url=api.url) == 201


def test_a_seed_gives_the_same_faults_again() -> None:
    calls = [
        (Call(verb, resource, "/"), number)
        for verb in ("list", "watch", "get", "patch", "put", "post")
        for resource in ("sendingdomains", "leases", "secrets")
        for number in range(50)
    ]

    def drawn(seed: int) -> list[InjectedFault | None]:
        faults = schedule(seed)
        return [faults(call, number) for call, number in calls]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert {fault.kind for seed in range(20) for fault in drawn(seed) if fault} == set(FaultKind)


def test_clients_get_through_a_schedule_of_faults(
    control_plane: ControlPlane, start_faulty_api: StartFaultyApi, namespace: str
) -> None:
    api = start_faulty_api(schedule(7, rate=0.5, longest_delay=0.02))
    for number in range(20):

        def is_there(name: str = f"m{number}") -> bool:
            try:
                return create(control_plane, namespace, name, url=api.url) in (201, 409)
            except BROKEN:
                return False

        eventually(is_there)
    assert len(api.injected) > 5
