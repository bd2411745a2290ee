"""Through any schedule of faults the operator does what it does without any: the same routes, the
same history, the same number of switches, and all of it as if the objects were files."""

import gc
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Self

import pytest
from tests.control_plane.control_plane import ControlPlane, Document
from tests.control_plane.faulty_api import Call, FaultKind, FaultyApi, InjectedFault, no_faults
from tests.control_plane.polling import eventually
from tests.control_plane.schedules import schedule

from .in_process import RunningOperator, platform_of
from .scenario import (
    API,
    STEPS,
    InCluster,
    Recorded,
    expected_of_files,
    lines_of,
    recorded,
    switches,
)
from .seeds import PARTS, seeds

# If a peer resets a connection before the TLS handshake, ssl.SSLSocket raises and leaves the
# socket to the garbage collector (CPython 3.11, SSLSocket._create). It collects them at the end of
# each test, while their warnings are ignored: once, because that takes longer than most steps.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


_AT_ONCE = 10
"""Schedules that one test plays at the same time: they mostly wait."""
_SHOWN = 4
"""In one schedule of so many the operators write statuses too."""


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(scope="module")
def server(crds: None, control_plane: ControlPlane) -> ControlPlane:  # noqa: ARG001
    return control_plane


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("schedules")


@pytest.fixture(scope="module")
def platform(home: Path) -> Path:
    return platform_of(home)


@pytest.fixture(scope="module")
def empty(home: Path) -> Path:
    """A store that holds nothing."""
    path = home / "empty.db"
    command = (sys.executable, "-m", "sendroute", "init", "--store", f"sqlite:///{path}")
    subprocess.run(command, check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def expected(home: Path) -> list[Recorded]:
    """What each step must record."""
    files = home / "files"
    files.mkdir()
    return expected_of_files(files, "any")


class Run:
    """One run of the scenario. Each operator reaches the API server by a proxy of its own, with its
    own faults; without a seed nothing fails."""

    def __init__(
        self,
        server: ControlPlane,
        namespace: str,
        store: Path,
        platform: Path,
        seed: int | None,
    ) -> None:
        self.tenant = InCluster(server, namespace)
        self.path = store
        self.store = f"sqlite:///{store}"
        self._server = server
        self._platform = platform
        self._seed = seed
        self._shows = seed is None or seed % _SHOWN == 0
        self._running: list[tuple[FaultyApi, RunningOperator]] = []
        self._started = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def api(self) -> FaultyApi:
        """The API server as the last operator sees it."""
        return self._running[-1][0]

    def start(self) -> None:
        """Start another operator, which leads from now on."""
        self._started += 1
        faults = no_faults
        if self._seed is not None:
            faults = schedule(self._seed * 1000 + self._started, longest_delay=0.02)
        api = FaultyApi(self._server, faults).__enter__()
        kubeconfig = api.admin().kubeconfig
        operator = RunningOperator(
            kubeconfig,
            self.tenant.namespace,
            self.store,
            self._platform,
            f"operator-{self._started}",
            shows=self._shows,
        )
        self._running.append((api, operator))

    def has_leader(self) -> bool:
        """Whether the last operator leads."""
        with closing(sqlite3.connect(self.path, timeout=10)) as database:
            rows = database.execute("SELECT leader FROM epoch").fetchall()
        return rows == [(f"operator-{self._started}",)]

    def replace(self) -> None:
        """Start another operator, of which the one that leads does not know. It has led before: one
        that takes over late would replace the new one."""
        eventually(self.has_leader, interval=0.01)
        self.start()

    def stop(self) -> None:
        for api, operator in self._running:
            operator.stop()
            api.go_down()
        self._running = []

    def count(self) -> int:
        """How many changes the history holds."""
        with closing(sqlite3.connect(self.path, timeout=10)) as database:
            (rows,) = database.execute(
                "SELECT (SELECT count(*) FROM history) + (SELECT count(*) FROM switched)"
            ).fetchone()
        return int(rows)

    @property
    def shows(self) -> bool:
        """Whether the operators of this run write statuses."""
        return self._shows

    def statuses_are_right(self) -> bool:
        """Whether every domain in the cluster shows the route that the store holds."""
        with closing(sqlite3.connect(self.path, timeout=10)) as database:
            rows = database.execute("SELECT name, kind, profile FROM domain").fetchall()
        routes = {name: f"{kind} {profile or ''}".strip() for name, kind, profile in rows}
        path = f"/apis/{API}/namespaces/{self.tenant.namespace}/sendingdomains"
        items = self._server.request("GET", path).document["items"]
        return routes == {item["spec"]["domain"]: _shown(item) for item in items}

    def is_idle(self) -> bool:
        return self._running[-1][1].operator.is_idle

    @contextmanager
    def outage(self, *, expires: bool) -> Iterator[None]:
        """The API server is down, or the network; ``expires``: and afterwards the server does not
        remember what happened."""
        api = self.api
        faults = api.faults
        api.go_down()
        yield
        lists = api.calls.copy()

        def forgotten(call: Call, number: int) -> InjectedFault | None:
            listed = "list", call.resource
            if call.verb == "watch" and api.calls[listed] == lists[listed]:
                return InjectedFault(FaultKind.ERROR, status=410)
            return faults(call, number)

        api.faults = forgotten if expires else faults
        api.come_up()

    @contextmanager
    def locked_store(self) -> Iterator[None]:
        """Another process writes the store, and does not end."""
        with closing(sqlite3.connect(self.path, isolation_level=None, timeout=10)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")

    @contextmanager
    def restart(self) -> Iterator[None]:
        """No operator runs."""
        self.stop()
        yield
        self.start()


def _shown(item: Document) -> str:
    """The route in a status that belongs to the object as it is."""
    status = item.get("status", {})
    is_current = status.get("observedGeneration") == item["metadata"]["generation"]
    return str(status.get("routeText", "")) if is_current else ""


@contextmanager
def trouble(run: Run, draw: random.Random) -> Iterator[None]:
    """What else happens while objects change."""
    kind = draw.choice(("nothing", "nothing", "outage", "restart", "store", "leader", "crash"))
    if kind == "outage":
        with run.outage(expires=draw.random() < 0.5):
            yield
            time.sleep(draw.uniform(0, 0.1))
    elif kind == "restart":
        with run.restart():
            yield
    elif kind == "store":
        with run.locked_store():
            yield
            time.sleep(draw.uniform(0, 0.3))
    elif kind == "leader":
        yield
        time.sleep(draw.uniform(0, 0.1))
        run.replace()
    elif kind == "crash":
        yield
        time.sleep(draw.uniform(0, 0.1))
        with run.restart():
            pass
    else:
        yield


def play(run: Run, expected: list[Recorded], seed: int | None) -> None:
    """Play the scenario, and compare the history step by step."""
    draw = random.Random(seed)
    count = 0
    with run:
        run.start()
        for step, changes in zip(STEPS, expected, strict=True):
            with trouble(run, draw) if seed is not None else nullcontext():
                step.do(run.tenant)
            count += len(changes)
            eventually(lambda count=count: run.count() >= count, interval=0.01)
        run.api.faults = no_faults
        eventually(run.is_idle, interval=0.01)
        if run.shows:
            eventually(run.statuses_are_right)
    changes = recorded(run.store)
    seen = 0
    for step, step_changes in zip(STEPS, expected, strict=True):
        following = seen + len(step_changes)
        assert lines_of(changes[seen:following]) == step_changes, step.name
        seen = following
    assert lines_of(changes[seen:]) == []


def test_without_faults_objects_do_what_files_do(
    server: ControlPlane,
    namespace: str,
    platform: Path,
    empty: Path,
    expected: list[Recorded],
    tmp_path: Path,
) -> None:
    store = Path(shutil.copy(empty, tmp_path / "store.db"))
    play(Run(server, namespace, store, platform, None), expected, None)
    assert switches(recorded(f"sqlite:///{store}")) == 9


@pytest.mark.parametrize("part", range(PARTS))
def test_faults_change_nothing(
    server: ControlPlane,
    platform: Path,
    empty: Path,
    expected: list[Recorded],
    part: int,
    tmp_path: Path,
) -> None:
    def play_seed(seed: int) -> None:
        store = Path(shutil.copy(empty, tmp_path / f"{seed}.db"))
        namespace = server.create_namespace("schedule")
        try:
            play(Run(server, namespace, store, platform, seed), expected, seed)
        except BaseException as error:
            error.add_note(f"Repeat: SENDROUTE_TEST_SEED={seed} SENDROUTE_TEST_SCHEDULES=1")
            raise
        server.request("DELETE", f"/api/v1/namespaces/{namespace}")

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for result in [pool.submit(play_seed, seed) for seed in seeds(part)]:
            result.result()
