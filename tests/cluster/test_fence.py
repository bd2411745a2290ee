"""Only the epoch in the store stops a leader that was paused in the middle of a write.

No Lease is involved, and no revision of an account: the leader that took over had nothing to write
in that account, so the paused plan would still fit the store.
"""

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from tests.control_plane.control_plane import PrivateControlPlane
from tests.control_plane.polling import eventually
from tests.postgres import Cluster

from .conftest import PLATFORM, SOURCE, account, domain, running

WAITS = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)"
WROTE = "SELECT name FROM sendroute.history WHERE kind = 'SendingDomain' ORDER BY revision, name"


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """An empty store in a PostgreSQL server of its own."""
    with Cluster() as server:
        url = server.url(server.create_database())
        command = (sys.executable, "-m", "sendroute", "init", "--store", url)
        subprocess.run(
            command,
            check=True,
            capture_output=True,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": SOURCE},
        )
        yield url


def writers_lock() -> int:
    """The number of the advisory lock that every writer shares."""
    return int.from_bytes(hashlib.blake2b(b"sendroute\0store", digest_size=8).digest(), signed=True)


def test_a_leader_that_was_paused_between_its_plan_and_its_commit_writes_nothing(
    cluster: PrivateControlPlane, url: str
) -> None:
    cluster.apply(PLATFORM)
    mine, other = cluster.create_namespace(), cluster.create_namespace()
    managed = {"route": {"managed": {}}}
    with ExitStack() as stack:
        watcher = stack.enter_context(psycopg.connect(url, autocommit=True))

        def written() -> list[str]:
            return [name for (name,) in watcher.execute(WROTE)]

        first = stack.enter_context(running(cluster.kubeconfig, url, "--no-leader-election"))
        cluster.apply(account(namespace=mine), domain("a.example", mine, **managed))
        eventually(lambda: written() == ["a.example"])
        with psycopg.connect(url, autocommit=True) as blocker:
            blocker.execute("SELECT pg_advisory_lock(%s)", (writers_lock(),))
            cluster.apply(domain("b.example", mine, **managed))
            eventually(lambda: watcher.execute(WAITS).fetchone() == (True,))
            first.send(signal.SIGSTOP)
        cluster.kubectl("delete", "sendingdomain", "b-example", "-n", mine)
        second = stack.enter_context(running(cluster.kubeconfig, url, "--no-leader-election"))
        cluster.apply(account(namespace=other), domain("c.example", other, **managed))
        eventually(lambda: written() == ["a.example", "c.example"])
        first.send(signal.SIGCONT)
        eventually(lambda: first.status is not None or "b.example" in written())
        assert "b.example" not in written()
        assert first.stop() == 1, first.log
        assert "leader-replaced" in first.log
        assert second.stop() == 0, second.log
    cluster.kubectl("delete", "namespace", mine, other, "--wait=false")
    cluster.kubectl("delete", "mailplatforms", "--all")
