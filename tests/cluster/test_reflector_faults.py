"""Through any schedule of faults the copy of a kind ends where the API server is, and nothing seems
deleted that was not."""

import gc
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.control_plane.control_plane import ControlPlane
from tests.control_plane.faulty_api import Call, FaultKind, FaultyApi, InjectedFault, no_faults
from tests.control_plane.polling import eventually
from tests.control_plane.schedules import schedule

from sendroute.cluster.api import Api, connect
from sendroute.cluster.reflector import Changes, Inbox, Reflector
from sendroute.cluster.times import Times

from .scenario import API, InCluster
from .seeds import PARTS, SCHEDULES, seeds

KIND = "SendingDomain"
NAMES = [f"d{number}" for number in range(8)]
CHANGES = 15
# If a peer resets a connection before the TLS handshake, ssl.SSLSocket raises and leaves the
# socket to the garbage collector (CPython 3.11, SSLSocket._create). See `reflecting`.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
FAST = Times(first_retry=0.005, longest_wait=0.05)


class Copy(Inbox):
    """The versions that were reported last, and every deletion that was reported."""

    def __init__(self) -> None:
        super().__init__()
        self.versions: dict[str, str] = {}
        self.deleted: list[str] = []

    def put(self, changes: Changes) -> None:
        for key, item in changes.items():
            if item is None:
                self.deleted.append(key.name)
                del self.versions[key.name]
            else:
                self.versions[key.name] = item.resource_version


@pytest.fixture(scope="module")
def server(crds: None, control_plane: ControlPlane) -> ControlPlane:  # noqa: ARG001
    return control_plane


@contextmanager
def reflecting(api: FaultyApi, namespace: str) -> Iterator[tuple[Reflector, Copy]]:
    copy = Copy()
    client = Api(connect(str(api.admin().kubeconfig)).client)
    reflector = Reflector(client, KIND, namespace, copy, random.random, FAST)
    reflector.start()
    try:
        yield reflector, copy
    finally:
        reflector.stop()
        api.go_down()
        reflector.join(10)
        assert not reflector.is_alive()
        client.close()
        del reflector, client
        gc.collect()  # these sockets, while their warnings are ignored


def versions(server: ControlPlane, namespace: str) -> dict[str, str]:
    listed = server.request("GET", f"/apis/{API}/namespaces/{namespace}/sendingdomains").document
    metadata = (item["metadata"] for item in listed["items"])
    return {item["name"]: item["resourceVersion"] for item in metadata}


def change(tenant: InCluster, draw: random.Random, existing: set[str], deleted: set[str]) -> None:
    """Create, change or delete one object."""
    name = draw.choice(NAMES)
    if name in existing and draw.random() < 0.4:
        tenant.delete(KIND, name)
        existing.remove(name)
        deleted.add(name)
    else:
        tenant.domain(name, {"profile": f"p{draw.randrange(1000)}"})
        existing.add(name)


@contextmanager
def outage(api: FaultyApi, *, expires: bool) -> Iterator[None]:
    """Nothing answers; ``expires``: and afterwards the server does not remember what happened."""
    api.go_down()
    yield
    faults, lists = api.faults, api.calls["list", "sendingdomains"]

    def forgotten(call: Call, number: int) -> InjectedFault | None:
        if call.verb == "watch" and api.calls["list", call.resource] == lists:
            return InjectedFault(FaultKind.ERROR, status=410)
        return faults(call, number)

    api.faults = forgotten if expires else faults
    api.come_up()


def run(server: ControlPlane, namespace: str, seed: int) -> None:
    draw = random.Random(seed)
    existing, deleted = set(versions(server, namespace)), set[str]()
    tenant = InCluster(server, namespace)
    with (
        FaultyApi(server, schedule(seed, longest_delay=0.02)) as api,
        reflecting(api, namespace) as (reflector, copy),
    ):
        for _ in range(CHANGES):
            change(tenant, draw, existing, deleted)
            if draw.random() < 0.1:
                with outage(api, expires=draw.random() < 0.7):
                    change(tenant, draw, existing, deleted)
            time.sleep(draw.choice((0, 0, 0.01)))
        api.faults = no_faults
        eventually(lambda: copy.versions == versions(server, namespace))
        assert set(copy.deleted) <= deleted, api.injected
        assert reflector.synced


@pytest.mark.parametrize("part", range(PARTS))
def test_the_copy_follows_the_server_through_faults(
    server: ControlPlane, namespace: str, part: int
) -> None:
    for seed in seeds(part, SCHEDULES // 4):
        print(f"SENDROUTE_TEST_SEED={seed} SENDROUTE_TEST_SCHEDULES=1")
        run(server, namespace, seed)


def test_a_list_that_lags_behind_deletes_nothing(server: ControlPlane, namespace: str) -> None:
    tenant = InCluster(server, namespace)
    tenant.domain("old")
    with FaultyApi(server) as api, reflecting(api, namespace) as (_, copy):
        eventually(lambda: set(copy.versions) == {"old"})
        tenant.domain("new")
        eventually(lambda: set(copy.versions) == {"new", "old"})

        def lagging(call: Call, number: int) -> InjectedFault | None:
            """Watches expire until there is a new list, and that one lags behind."""
            if call.verb == "watch" and api.calls["list", call.resource] == 1:
                return InjectedFault(FaultKind.ERROR, status=410)
            return (
                InjectedFault(FaultKind.STALE_LIST) if call.verb == "list" and number <= 3 else None
            )

        api.faults = lagging
        api.break_connections()
        tenant.delete(KIND, "old")
        eventually(lambda: copy.versions == versions(server, namespace))
        assert copy.deleted == ["old"]
        assert sum(fault.kind is FaultKind.STALE_LIST for _, _, fault in api.injected) == 3
