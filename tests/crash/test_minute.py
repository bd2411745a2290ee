"""One minute of two appliers, a loop, manifests that change all the time and a server that crashes
every few seconds: every account ends in the state that a single applier would have produced.

:mod:`tests.crash.convergence` explains why the final state does not depend on the order.
"""

import os
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest
from tests.planner.naive import Key
from tests.planner.values import as_store
from tests.postgres import Cluster
from tests.store.raw import opened

from sendroute.model.problem import ProblemError
from sendroute.store.record import open_store

from .conftest import Workspace
from .convergence import ConvergingTrees
from .fork_server import ForkedProcess, ForkServer
from .manifest_trees import ACCOUNTS, PAIRS, write_pair, write_tree
from .test_killed_apply import APPLY, check_plan_is_empty

SECONDS = float(os.environ.get("SENDROUTE_TEST_MINUTE", "60"))
TIMEOUT = 60.0
RUN = (
    *("--max-change-percent", "100", "--max-remove-percent", "100"),
    *("--settle-destructive", "0s", "--listen", ""),
)


@pytest.fixture
def separate_cluster() -> Iterator[Cluster]:
    """A server that no other test uses, because this test crashes it."""
    with Cluster() as cluster:
        yield cluster


class Minute:
    """All concurrent processes. A caller that waits calls :meth:`supervise` repeatedly."""

    def __init__(self, workspace: Workspace, cluster: Cluster | None, rng: random.Random) -> None:
        self.workspace = workspace
        self.statuses: Counter[int] = Counter()
        self.restarts = 0
        self._cluster = cluster
        self._rng = rng
        self._manifests = workspace.home / "trees"
        self._appliers: list[ForkedProcess] = []
        self._loop: ForkedProcess | None = None
        self._loops: list[ForkedProcess] = []
        self._restart_at = time.monotonic() + 3

    def begin(self) -> None:
        self._appliers = [self._applier() for _ in range(2)]
        self._start_loop()

    def _applier(self) -> ForkedProcess:
        return self.workspace.start("apply", str(self._manifests), *APPLY)

    def _start_loop(self) -> None:
        self._loop = self.workspace.start(
            *("run", str(self._manifests), *RUN),
            *("--poll", "100ms", "--interval", "2s"),
        )
        self._loops.append(self._loop)

    def supervise(self) -> None:
        for number, applier in enumerate(self._appliers):
            if applier.has_ended():
                self._record_status(applier)
                self._appliers[number] = self._applier()
        if self._loop is not None:
            assert not self._loop.has_ended(), self._loop.text()
        if self._cluster is not None and time.monotonic() > self._restart_at:
            self._cluster.stop(signal.SIGQUIT)
            self._cluster.start()
            self.restarts += 1
            self._restart_at = time.monotonic() + self._rng.uniform(2, 6)
        time.sleep(0.02)

    def _record_status(self, applier: ForkedProcess) -> None:
        assert applier.status is not None
        self.statuses[applier.status] += 1
        assert applier.status in (0, 1, 3, 4), applier.text()
        assert "Traceback" not in applier.text(), applier.text()
        assert "store-locked" not in applier.text(), "no process holds the lock for so long"
        if applier.status == 1:  # only because the server is down
            assert self._cluster is not None, applier.text()
            assert "store-failed" in applier.text(), applier.text()

    def wait_until(self, condition: Callable[[], bool], expected: str) -> None:
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            assert time.monotonic() < deadline, (
                f"timed out waiting for {expected}: {self._output()}"
            )
            self.supervise()

    def barrier(self) -> None:
        """Wait until no process remains that read its tree before this call."""
        started_at = time.monotonic()
        self._end_loop()
        self._start_loop()
        self.wait_until(
            lambda: all(applier.started_at > started_at for applier in self._appliers),
            "the end of the appliers",
        )

    def _end_loop(self) -> None:
        loop, self._loop = self._loop, None
        assert loop is not None
        self.wait_until(lambda: loop.handles(signal.SIGTERM), "the start of the loop")
        loop.signal(signal.SIGTERM)
        self.wait_until(loop.has_ended, "the end of the loop")
        assert loop.status == 0, loop.text()
        assert "Traceback" not in loop.text(), loop.text()

    def end(self) -> None:
        self._end_loop()
        for applier in self._appliers:
            applier.wait()
            self._record_status(applier)

    def is_committed(self, marks: list[str]) -> bool:
        if not marks:
            return True
        condition = " OR ".join(f"\"after\" LIKE '%{mark}%'" for mark in marks)
        query = f"SELECT count(DISTINCT account) FROM history WHERE {condition}"  # noqa: S608
        try:
            with opened(self.workspace.url) as raw:
                [(count,)] = raw.execute(query).fetchall()  # type: ignore[call-overload]
        except (psycopg.OperationalError, sqlite3.OperationalError):
            return False
        return bool(count == len(marks))

    def has_converged(self, trees: ConvergingTrees) -> bool:
        try:
            with open_store(self.workspace.url) as store:
                return as_store(store.read()) == trees.expected
        except ProblemError:
            return False

    def _output(self) -> str:
        return "\n".join(process.text() for process in [*self._appliers, *self._loops[-1:]])


@pytest.fixture
def minute(
    request: pytest.FixtureRequest, fork_server: ForkServer, tmp_path: Path, rng: random.Random
) -> Iterator[Minute]:
    cluster: Cluster | None = None
    url = f"sqlite:///{tmp_path}/work/sendroute.db"
    if request.param == "postgresql":
        cluster = request.getfixturevalue("separate_cluster")
        url = cluster.url(cluster.create_database())
    workspace = Workspace(fork_server, url, tmp_path)
    workspace.run("init")
    yield Minute(workspace, cluster, rng)
    workspace.close()


@pytest.mark.parametrize("minute", ["sqlite", "postgresql"], indirect=True)
def test_concurrent_appliers_converge_to_the_state_of_a_single_applier(
    minute: Minute, rng: random.Random
) -> None:
    workspace, trees = minute.workspace, ConvergingTrees(rng)
    manifests = write_tree(trees.tree, workspace.home / "trees")
    workspace.write_secrets(ACCOUNTS, "password")
    minute.begin()
    ends = time.monotonic() + SECONDS
    rounds = edits = 0
    minute.wait_until(lambda: minute.has_converged(trees), "the first tree")
    while time.monotonic() < ends:
        edits += wander(minute, trees, manifests)
        minute.barrier()
        trees.assess()
        write_tree(trees.tree, manifests)
        minute.wait_until(lambda: minute.has_converged(trees), "the assessed tree")
        minute.barrier()
        trees.close()
        write_tree(trees.tree, manifests)
        minute.wait_until(lambda: minute.has_converged(trees), "the closing tree")
        rounds += 1
    minute.end()
    workspace.run("apply", str(manifests), *APPLY)
    workspace.wait_until_idle()
    assert workspace.current() == trees.expected
    changes = workspace.check()
    check_plan_is_empty(workspace, str(manifests))
    workspace.check_no_leftover_files()
    print(
        f"{rounds} rounds, {edits} edits, {changes[-1].number} revisions, {minute.restarts} "
        f"restarts, exit statuses {dict(minute.statuses)}"
    )


def wander(minute: Minute, trees: ConvergingTrees, manifests: Path) -> int:
    """Edit the pairs in turn; edit a pair again as soon as its previous edit was committed.
    Return the number of edits."""
    marks: dict[Key, list[str]] = {}
    edits = 0
    for pair in PAIRS * 2:
        pending = marks.get(pair[0], [])
        minute.wait_until(partial(minute.is_committed, pending), "an edit")
        marks[pair[0]] = trees.wander(pair)
        write_pair(trees.tree, pair, manifests)
        edits += 1
    for pending in marks.values():
        minute.wait_until(partial(minute.is_committed, pending), "an edit")
    return edits
