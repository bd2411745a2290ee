"""A follower that is killed at any moment: the next one continues and uses nothing incomplete."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from sendroute.following.git import GitOptions
from sendroute.following.source import follow
from sendroute.following.state import SUBDIRECTORY

from .conftest import Repository, never
from .servers import wait_until

# Follows a branch, remembers each tree, and prints each commit after reading all its files.
FOLLOWER = """\
import sys
from pathlib import Path
from sendroute.following.git import GitOptions
from sendroute.following.source import follow

follower = follow(sys.argv[1], GitOptions(timeout=30), sys.argv[2])
print("ready", flush=True)
while True:
    tree = follower.poll(lambda: False)
    texts = {path.read_text() for path in Path(tree.path).rglob("*.yaml")}
    assert len(texts) == 1, texts
    follower.remember(tree)
    print(tree.commit, flush=True)
"""
FILES = 200
PUSHES = 25


def push(repository: Repository, number: int) -> str:
    for index in range(FILES):
        repository.put(f"{index % 7}/{index}.yaml", f"{number}")
    return repository.commit("0.yaml", f"{number}")


def test_a_follower_killed_at_any_moment_continues_after_a_restart(
    repository: Repository, tmp_path: Path
) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    state = tmp_path / "state"
    source = str(Path(__file__).parents[2] / "operator")
    for number in range(PUSHES):
        commit = push(repository, number)
        process = subprocess.Popen(
            [sys.executable, "-c", FOLLOWER, repository.url, str(state)],
            env={**os.environ, "PYTHONPATH": source},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n", f"seed {seed}, number {number}"
            # A poll that fetches a commit takes about 0.1 s here.
            time.sleep(chance.random() * 0.15)
            process.send_signal(signal.SIGKILL)
        assert wait_until(lambda: not processes_in(state)), f"seed {seed}, number {number}"
        follower = follow(repository.url, GitOptions(timeout=30), str(state))
        try:
            tree = follower.poll(never)
            assert tree.commit == commit
            texts = [path.read_text() for path in Path(tree.path).rglob("*.yaml")]
            assert texts == [f"{number}"] * (FILES + 1), f"seed {seed}, number {number}"
            good = follower.last_good(never)
            if good is not None:
                texts = [path.read_text() for path in Path(good.path).rglob("*.yaml")]
                assert len(texts) == FILES + 1, f"seed {seed}, number {number}"
                assert len(set(texts)) == 1, f"seed {seed}, number {number}"
        finally:
            follower.close()
    assert sorted(path.name for path in (state / SUBDIRECTORY).iterdir()) == ["repository", "trees"]


def processes_in(state: Path) -> list[str]:
    """The processes that work in a directory; a git whose parent was killed ends soon."""
    pids = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if (directory / "cwd").readlink().is_relative_to(state):
                pids.append(directory.name)
        except OSError:
            continue
    return pids
