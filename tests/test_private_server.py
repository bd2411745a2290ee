"""The PostgreSQL server of the tests leaves nothing behind, also if the tests are killed."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.postgres import Cluster

ROOT = Path(__file__).parents[1]


def has_ended(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return False
    return True


def test_the_server_stops_when_the_tests_are_killed() -> None:
    script = (
        "import sys, time; from tests.postgres import Cluster\n"
        "with Cluster() as c: print(c.pid, c.directory, flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as tests:
        assert tests.stdout is not None
        pid, directory = tests.stdout.readline().split()
        assert not has_ended(int(pid))
        tests.kill()
    deadline = time.monotonic() + 30
    while not has_ended(int(pid)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    subprocess.run(["rm", "-r", directory], check=True)


def test_a_stopped_server_leaves_no_process_and_no_file() -> None:
    with Cluster() as server:
        pid, directory = server.pid, server.directory
        server.connect().close()
    assert has_ended(pid)
    assert not directory.exists()
    listed = subprocess.run(["ps", "-eo", "args"], check=True, capture_output=True, text=True)
    assert str(directory) not in listed.stdout
