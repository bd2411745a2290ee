"""Objects of which the operator sees old versions, or half of a change, change no route."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.control_plane.control_plane import ControlPlane
from tests.control_plane.faulty_api import Call, FaultKind, FaultyApi, InjectedFault, no_faults
from tests.control_plane.polling import eventually

from .in_process import RunningOperator, platform_of
from .scenario import MANAGED, InCluster, recorded, through


class Cluster:
    """A cluster, a store, and the operators that a test starts on them."""

    def __init__(self, server: ControlPlane, home: Path) -> None:
        self._server = server
        self._platform = platform_of(home)
        self._path = home / "store.db"
        self.store = f"sqlite:///{self._path}"
        command = (sys.executable, "-m", "sendroute", "init", "--store", self.store)
        subprocess.run(command, check=True, capture_output=True)
        self._running: list[tuple[FaultyApi, RunningOperator]] = []

    def start(
        self, *namespaces: str, name: str = "first", leads: bool = True
    ) -> tuple[FaultyApi, RunningOperator]:
        """Start an operator that reaches the API by a proxy of its own."""
        api = FaultyApi(self._server).__enter__()
        kubeconfig = api.admin().kubeconfig
        operator = RunningOperator(
            kubeconfig, namespaces, self.store, self._platform, name, leads=leads
        )
        self._running.append((api, operator))
        return api, operator

    def stop(self) -> None:
        for api, operator in self._running:
            operator.stop()
            api.go_down()

    def routes(self) -> dict[str, str]:
        """The route of each domain in the store."""
        with closing(sqlite3.connect(self._path, timeout=10)) as database:
            rows = database.execute("SELECT name, kind, profile FROM domain").fetchall()
        return {name: f"{kind} {profile or ''}".strip() for name, kind, profile in rows}

    def route_is(self, name: str, route: str | None) -> Callable[[], bool]:
        """A condition: the store has this route of a domain of the scenario."""
        return lambda: self.routes().get(f"{name}.example.test") == route


@pytest.fixture
def cluster(crds: None, control_plane: ControlPlane, tmp_path: Path) -> Iterator[Cluster]:  # noqa: ARG001
    cluster = Cluster(control_plane, tmp_path)
    yield cluster
    cluster.stop()


@pytest.mark.parametrize("stale_lists", [0, 2])
def test_a_new_leader_whose_objects_are_old_waits_until_it_sees_what_was_applied(
    cluster: Cluster, control_plane: ControlPlane, namespace: str, stale_lists: int
) -> None:
    tenant = InCluster(control_plane, namespace)
    tenant.account(defaultRoute=MANAGED)
    tenant.profile("ses")
    tenant.domain("shop", MANAGED)
    tenant.domain("old", MANAGED)
    cluster.start(namespace)
    eventually(cluster.route_is("shop", "managed"))
    eventually(cluster.route_is("old", "managed"))
    api, second = cluster.start(namespace, name="second", leads=False)
    kinds = ("mailaccounts", "smtpprofiles", "sendingdomains")
    eventually(lambda: all(api.calls["watch", kind] for kind in kinds))
    fresh = api.calls["list", "sendingdomains"] + stale_lists

    def lagging(call: Call, number: int) -> InjectedFault | None:
        """The next lists of domains are those of before, and no watch shows one until there is a
        new list."""
        if call.resource != "sendingdomains":
            return None
        if call.verb == "watch" and api.calls["list", call.resource] <= fresh:
            return InjectedFault(FaultKind.ERROR, status=500)
        return (
            InjectedFault(FaultKind.STALE_LIST) if call.verb == "list" and number < fresh else None
        )

    api.faults = lagging
    api.break_connections()
    tenant.domain("shop", through("ses"))
    tenant.domain("new")
    tenant.delete("SendingDomain", "old")
    eventually(cluster.route_is("shop", "profile ses"))
    eventually(cluster.route_is("new", "managed"))
    eventually(cluster.route_is("old", None))
    before = len(recorded(cluster.store))
    second.operator.lead("second")
    eventually(lambda: second.operator.is_idle)
    assert [change.name for change in recorded(cluster.store)[before:]] == []
    stale = [call for call, _, fault in api.injected if fault.kind is FaultKind.STALE_LIST]
    assert len(stale) == stale_lists


def test_what_changed_waits_until_every_kind_of_its_namespace_is_followed(
    cluster: Cluster, control_plane: ControlPlane, namespace: str
) -> None:
    """A new domain takes the account's default once and for all. Here the default changes with it,
    and the operator sees the domain first."""
    tenant = InCluster(control_plane, namespace)
    other = InCluster(control_plane, control_plane.create_namespace())
    for item in (tenant, other):
        item.account(defaultRoute=MANAGED)
        item.profile("ses")
    api, _ = cluster.start(namespace, other.namespace)
    tenant.domain("before")
    eventually(cluster.route_is("before", "managed"))

    def without_accounts(call: Call, _number: int) -> InjectedFault | None:
        is_account = call.path.endswith(f"/{namespace}/mailaccounts")
        return InjectedFault(FaultKind.ERROR, status=500) if is_account else None

    api.faults = without_accounts
    api.break_connections()
    eventually(lambda: bool(api.injected))
    tenant.account(defaultRoute=through("ses"))
    tenant.domain("new")
    for number in range(3):  # meanwhile others settle
        other.domain(f"other{number}")
        eventually(cluster.route_is(f"other{number}", "managed"))
        assert cluster.route_is("new", None)()
    api.faults = no_faults
    eventually(cluster.route_is("new", "profile ses"))
    changes = [change for change in recorded(cluster.store) if change.name == "new.example.test"]
    assert len(changes) == 1
