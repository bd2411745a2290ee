"""What happens to whole processes changes nothing either: an operator is killed, or paused while
another one takes its Lease; the API server or the store's PostgreSQL is killed; a Secret is gone.

``test_fault_schedules.py`` has the same promise for faults of single requests, with operators in
the test's own process. Here everything is real, so there are few schedules, and they mostly wait.
"""

import base64
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, Self

import psycopg
import pytest
from tests.control_plane.control_plane import PrivateControlPlane
from tests.control_plane.polling import eventually
from tests.postgres import Cluster
from tests.private_server import PrivateServer

from .conftest import SOURCE, SYSTEM
from .in_process import platform_of
from .scenario import (
    API,
    STEPS,
    InCluster,
    InFiles,
    Recorded,
    Tenant,
    lines_of,
    recorded,
    recorded_steps,
    switches,
)
from .seeds import FIRST, SCHEDULES

_SCHEDULES = -(-SCHEDULES // 25)
"""One for every 25 of those with faults of requests."""
_AT_ONCE = 10
"""Schedules that are played at the same time: they mostly wait."""
_TIMEOUT = 120.0
_SECRET = "mailgun-smtp"
_KEYS = {"username": "acme", "password": "of-the-tests"}
_LEADS = re.compile(r"leads, in epoch (\d+)")


class _Secret:
    """The profile mailgun signs in, with a Secret."""

    def profile(self, name: str, **spec: Any) -> None:
        if name == "mailgun":
            spec["credentials"] = {"secretRef": {"name": _SECRET}}
        super().profile(name, **spec)  # type: ignore[misc]


class _Files(_Secret, InFiles):
    def __init__(self, home: Path, namespace: str, key: Path) -> None:
        self._options = ("--key-file", str(key), "--secrets", str(home / "secrets"))
        directory = home / "secrets" / namespace / _SECRET
        directory.mkdir(parents=True)
        for name, value in _KEYS.items():
            (directory / name).write_text(value)
        super().__init__(home, namespace)

    def _run(self, *words: str) -> None:
        super()._run(*words, *self._options)


class _Objects(_Secret, InCluster):
    """Objects, and the Secret that comes and goes."""

    def create_secret(self) -> None:
        data = {name: base64.b64encode(value.encode()).decode() for name, value in _KEYS.items()}
        document = {"metadata": {"name": _SECRET}, "data": data}
        answer = self._server.request("POST", self._secrets, document)
        assert answer.status == 201, answer

    def delete_secret(self) -> None:
        answer = self._server.request("DELETE", f"{self._secrets}/{_SECRET}")
        assert answer.status == 200, answer

    @property
    def _secrets(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/secrets"


class Servers(NamedTuple):
    """What all schedules share. A schedule that kills one of the two holds its lock, so that no
    other one writes to it at that moment; the operators of all others see it too."""

    plane: PrivateControlPlane
    database: Cluster
    plane_lock: Any
    database_lock: Any
    platform: Path
    key: Path
    expected: list[Recorded]


@pytest.fixture(scope="module")
def servers_of_schedules(
    private_control_plane: PrivateControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Servers]:
    home = tmp_path_factory.mktemp("process-schedules")
    key = home / "key"
    key.write_text(base64.b64encode(bytes(32)).decode())
    key.chmod(0o600)
    files = home / "files"
    files.mkdir()
    private_control_plane.install_crds()
    expected = recorded_steps(_Files(files, "any", key))
    with Cluster() as database:
        yield Servers(
            private_control_plane, database, Lock(), Lock(), platform_of(home), key, expected
        )


class Pod:
    """An operator's process, which is started again when it has ended, as a kubelet does."""

    def __init__(self, command: tuple[str, ...], log: Path) -> None:
        self._command = command
        self._log = log
        self._process: PrivateServer | None = None
        self._begins = 0

    @property
    def epoch(self) -> int:
        """That in which the process leads; 0 if it does not."""
        if self.has_ended:
            return 0
        with self._log.open("rb") as log:
            log.seek(self._begins)
            led = _LEADS.findall(log.read().decode(errors="replace"))
        return int(led[-1]) if led else 0

    def keep_running(self) -> None:
        if self.has_ended:
            self.stop()
            self._begins = self._log.stat().st_size if self._log.exists() else 0
            self._process = PrivateServer(
                self._command, self._log, env=os.environ | {"PYTHONPATH": SOURCE}
            )

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    @property
    def has_ended(self) -> bool:
        return self._process is None or self._process.has_ended

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop(signal.SIGKILL)


class Run:
    """One run of the scenario: a tenant, a database, and one or two operators."""

    def __init__(self, servers: Servers, home: Path, *, elects: bool) -> None:
        self._servers = servers
        self.due = 0  # changes that the history must hold after this step
        self._database: psycopg.Connection[Any] | None = None
        with servers.plane_lock:
            namespace = servers.plane.create_namespace("processes")
        self.tenant = _Objects(servers.plane, namespace)
        with servers.database_lock:
            self.store = servers.database.url(servers.database.create_database())
            options = ("--store", self.store, "--key-file", str(servers.key))
            subprocess.run(
                (sys.executable, "-m", "sendroute", "init", *options),
                check=True,
                capture_output=True,
                env=os.environ | {"PYTHONPATH": SOURCE},
            )
        election = ("--lease-namespace", namespace) if elects else ("--no-leader-election",)
        command = (
            *(sys.executable, "-m", "sendroute", "operator", *options, *election),
            *("--kubeconfig", str(servers.plane.kubeconfig), "--namespace", SYSTEM),
            *("--watch-namespaces", namespace, "--platform", str(servers.platform)),
            *("--settle", "200ms", "--settle-destructive", "1s", "--interval", "5s"),
            *("--max-change-percent", "100", "--max-remove-percent", "100", "--listen", ""),
        )
        self.pods = [
            Pod(command, home / f"{namespace}-{number}.log") for number in range(1 + elects)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        for pod in self.pods:
            pod.stop()

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait; meanwhile a killed operator restarts."""

        def is_so() -> bool:
            for pod in self.pods:
                pod.keep_running()
            return condition()

        eventually(is_so, _TIMEOUT, interval=0.25)

    def leader(self) -> Pod:
        """The operator that leads, as soon as one does."""
        self.until(lambda: any(pod.epoch for pod in self.pods))
        return max(self.pods, key=lambda pod: pod.epoch)

    def count(self) -> int:
        """How many changes the history holds; 0 while the database is unavailable."""
        statement = (
            "SELECT (SELECT count(*) FROM sendroute.history)"
            " + (SELECT count(*) FROM sendroute.switched)"
        )
        try:
            if self._database is None:
                self._database = psycopg.connect(self.store, connect_timeout=5, autocommit=True)
            row = self._database.execute(statement).fetchone()
        except psycopg.Error:
            self._close()
            return 0
        return int(row[0]) if row is not None else 0

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
        self._database = None

    def statuses_are_right(self) -> bool:
        """Whether every domain in the cluster shows the route that the store holds."""
        with psycopg.connect(self.store) as database:
            rows = database.execute("SELECT name, kind, profile FROM sendroute.domain").fetchall()
        routes = {name: f"{kind} {profile or ''}".strip() for name, kind, profile in rows}
        path = f"/apis/{API}/namespaces/{self.tenant.namespace}/sendingdomains"
        items = self._servers.plane.request("GET", path).document["items"]
        return routes == {
            item["spec"]["domain"]: item.get("status", {}).get("routeText", "") for item in items
        }

    def do(self, act: Callable[[Tenant], None]) -> None:
        with self._servers.plane_lock:
            act(self.tenant)

    def kill_operator(self) -> None:
        leader = self.leader()
        leader.send(signal.SIGKILL)
        eventually(lambda: leader.has_ended)

    def kill_api_server(self) -> None:
        with self._servers.plane_lock:
            self._servers.plane.restart_apiserver()

    @contextmanager
    def without_store(self, seconds: float) -> Iterator[None]:
        with self._servers.database_lock:
            self._servers.database.stop()
            try:
                yield
                time.sleep(seconds)
            finally:
                self._servers.database.start()

    @contextmanager
    def paused_leader(self) -> Iterator[None]:
        """The leader stops in the middle of whatever it does. It continues when another one has
        led, and does not know."""
        leader = self.leader()
        epoch = leader.epoch
        yield
        leader.send(signal.SIGSTOP)
        try:
            self.until(lambda: any(pod.epoch > epoch for pod in self.pods))
        finally:
            leader.send(signal.SIGCONT)
        eventually(lambda: leader.has_ended, _TIMEOUT)

    @contextmanager
    def without_secret(self, seconds: float) -> Iterator[None]:
        self.do(lambda _: self.tenant.delete_secret())
        yield
        time.sleep(seconds)
        assert self.count() < self.due, "a profile was saved without its Secret"
        self.do(lambda _: self.tenant.create_secret())


_WITH_SECRET = (0, 4, 14)
"""The steps that need the Secret: the profile mailgun is created, changed and created again."""
KINDS = ("operator", "api", "store", "paused", "secret")


@contextmanager
def fault(run: Run, kind: str, draw: random.Random) -> Iterator[None]:
    """One fault while a step is declared, or soon after."""
    later = draw.uniform(0, draw.choice((0.3, 1.5)))
    if kind == "store":
        with run.without_store(later):
            yield
    elif kind == "secret":
        with run.without_secret(1 + later):  # longer than an account takes to settle
            yield
    elif kind == "paused":
        with run.paused_leader():
            yield
            time.sleep(later)
    else:
        yield
        time.sleep(later)
        if kind == "operator":
            run.kill_operator()
        else:
            run.kill_api_server()


def plan_of(seed: int) -> tuple[bool, dict[int, str]]:
    """Whether there is an election, and the faults by the step. Every kind comes in five
    schedules that follow each other. The API server is killed in one of them, because its start
    takes as much of the machine as all the rest; the others see that too."""
    draw = random.Random(seed)
    first = KINDS[seed % len(KINDS)]
    elects = first == "paused" or draw.random() < 0.5
    others = [kind for kind in KINDS if kind != "api" and (elects or kind != "paused")]
    kinds = [first, draw.choice(others)]
    faults: dict[int, str] = {}
    for kind in kinds:
        steps = _WITH_SECRET if kind == "secret" else range(len(STEPS))
        faults[draw.choice([step for step in steps if step not in faults])] = kind
    return elects, faults


def play(servers: Servers, seed: int, home: Path) -> None:
    """Play the scenario with the faults of a seed, and compare the history step by step."""
    draw = random.Random(f"moments {seed}")
    elects, faults = plan_of(seed)
    with Run(servers, home, elects=elects) as run:
        run.do(lambda _: run.tenant.create_secret())
        for number, (step, changes) in enumerate(zip(STEPS, servers.expected, strict=True)):
            kind = faults.get(number)
            run.due += len(changes)
            with fault(run, kind, draw) if kind is not None else nullcontext():
                run.do(step.do)
            run.until(lambda: run.count() >= run.due)
        with servers.database_lock, servers.plane_lock:
            run.until(run.statuses_are_right)
    with servers.database_lock:
        changes = recorded(run.store)
    seen = 0
    for step, step_changes in zip(STEPS, servers.expected, strict=True):
        following = seen + len(step_changes)
        assert lines_of(changes[seen:following]) == step_changes, step.name
        seen = following
    assert lines_of(changes[seen:]) == []
    assert switches(changes) == 9


def test_faults_of_processes_change_nothing(servers_of_schedules: Servers, tmp_path: Path) -> None:
    def play_seed(seed: int) -> None:
        try:
            play(servers_of_schedules, seed, tmp_path)
        except BaseException as error:
            error.add_note(
                f"Repeat: SENDROUTE_TEST_SEED={seed} SENDROUTE_TEST_SCHEDULES=1; {plan_of(seed)}"
            )
            raise

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        played = [pool.submit(play_seed, seed) for seed in range(FIRST, FIRST + _SCHEDULES)]
        for result in played:
            result.result()
