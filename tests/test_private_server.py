"""The tests' own server leaves nothing behind, however they end."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.postgres import Cluster

ROOT = Path(__file__).parents[1]


def is_gone(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return False
    return True


def test_a_server_ends_when_its_tests_are_killed() -> None:
    script = (
        "import sys, time; from tests.postgres import Cluster\n"
        "with Cluster() as c: print(c.pid, c.folder, flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as tests:
        assert tests.stdout is not None
        pid, folder = tests.stdout.readline().split()
        assert not is_gone(int(pid))
        tests.kill()
    deadline = time.monotonic() + 30
    while not is_gone(int(pid)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    subprocess.run(["rm", "-r", folder], check=True)


def test_a_server_that_is_stopped_leaves_no_process_and_no_file() -> None:
    with Cluster() as server:
        pid, folder = server.pid, server.folder
        server.connect().close()
    assert is_gone(pid)
    assert not folder.exists()
    listed = subprocess.run(["ps", "-eo", "args"], check=True, capture_output=True, text=True)
    assert str(folder) not in listed.stdout
