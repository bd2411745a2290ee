"""A follower that is killed at any moment: the next one goes on, and takes nothing for whole that
is not."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from sendroute.following.git import GitOptions
from sendroute.following.source import follow
from sendroute.following.state import NAME

from .conftest import Repository, never
from .servers import wait_until

# Follows, keeps, and tells each commit once it has read all of it.
FOLLOWING = """\
import sys
from pathlib import Path
from sendroute.following.git import Wanted
from sendroute.following.source import follow

follower = follow(sys.argv[1], Wanted(timeout=30), sys.argv[2])
print("ready", flush=True)
while True:
    tree = follower.look(lambda: False)
    texts = {path.read_text() for path in Path(tree.path).rglob("*.yaml")}
    assert len(texts) == 1, texts
    follower.keep(tree)
    print(tree.commit, flush=True)
"""
FILES = 200
TURNS = 25


def push(repository: Repository, turn: int) -> str:
    for number in range(FILES):
        repository.put(f"{number % 7}/{number}.yaml", f"{turn}")
    return repository.commit("0.yaml", f"{turn}")


def test_kill_9_at_random_moments(repository: Repository, tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    state = tmp_path / "state"
    source = str(Path(__file__).parents[2] / "operator")
    for turn in range(TURNS):
        commit = push(repository, turn)
        process = subprocess.Popen(
            [sys.executable, "-c", FOLLOWING, repository.url, str(state)],
            env={**os.environ, "PYTHONPATH": source},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n", f"seed {seed}, turn {turn}"
            # A look that takes a commit is done in about 0.1 s here.
            time.sleep(chance.random() * 0.15)
            process.send_signal(signal.SIGKILL)
        assert wait_until(lambda: not working_in(state)), f"seed {seed}, turn {turn}"
        follower = follow(repository.url, GitOptions(timeout=30), str(state))
        try:
            tree = follower.look(never)
            assert tree.commit == commit
            texts = [path.read_text() for path in Path(tree.path).rglob("*.yaml")]
            assert texts == [f"{turn}"] * (FILES + 1), f"seed {seed}, turn {turn}"
            good = follower.last_good(never)
            if good is not None:
                texts = [path.read_text() for path in Path(good.path).rglob("*.yaml")]
                assert len(texts) == FILES + 1, f"seed {seed}, turn {turn}"
                assert len(set(texts)) == 1, f"seed {seed}, turn {turn}"
        finally:
            follower.close()
    assert sorted(path.name for path in (state / NAME).iterdir()) == ["repository", "trees"]


def working_in(state: Path) -> list[str]:
    """Git that the killed one left to itself ends soon."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cwd").readlink().is_relative_to(state):
                found.append(folder.name)
        except OSError:
            continue
    return found
