"""``kill -9`` at any moment of the loop: no change is lost, repeated or partly applied, and the
next loop completes the work, from a directory and from a git branch."""

import random
import signal
import subprocess
import time

import pytest
from tests.planner.naive import Tree

from .conftest import KILLS, PARTS, Workspace, check_no_partial_account, wait_until
from .fork_server import ForkedProcess
from .manifest_trees import ACCOUNTS, TreeSequence, write_tree

RUN = (
    *("--max-change-percent", "100", "--max-remove-percent", "100"),
    *("--settle-destructive", "0s", "--listen", "", "-q"),
)
# Fractions of the time from a new tree, or a start, to the applied tree.
MOMENTS = [(-0.05, 1.2), (0.4, 1.0)]


class DirectorySource:
    """A symbolic link to a complete directory, as git-sync creates it."""

    poll = "30ms"

    def __init__(self, workspace: Workspace) -> None:
        self._trees = workspace.home / "trees"
        self._count = 0
        self.arguments = (str(self._trees / "current"),)

    def publish(self, tree: Tree) -> str | None:
        """Publish a tree; return its commit id, if the source has commits."""
        self._count += 1
        directory = write_tree(tree, self._trees / str(self._count))
        link = self._trees / "next"
        link.symlink_to(directory)
        link.rename(self._trees / "current")
        return None

    def is_checked_out(self) -> bool:
        """Whether a loop has its own copy of the tree, if it needs one."""
        return True

    def check_no_leftover_files(self) -> None:
        """A directory source creates no files."""


class GitSource:
    """A git repository."""

    poll = "200ms"

    def __init__(self, workspace: Workspace) -> None:
        self._directory = workspace.home / "trees" / "origin"
        self._state = workspace.home / "state"
        self._directory.mkdir()
        self._git("init", "-q")
        self.arguments = (f"file://{self._directory}", "--state-dir", str(self._state))

    def publish(self, tree: Tree) -> str | None:
        write_tree(tree, self._directory)
        self._git("add", "-A")
        self._git("-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "-q", "-m", "x")
        return self._git("rev-parse", "HEAD")

    def _git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self._directory), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def is_checked_out(self) -> bool:
        return len(list(self._state.glob("*/trees/*"))) == 1

    def check_no_leftover_files(self) -> None:
        [cache] = self._state.iterdir()
        assert {path.name for path in cache.iterdir()} == {"repository", "trees"}
        assert len(list((cache / "trees").iterdir())) == 1
        assert not list((cache / "repository").rglob("*.lock"))


@pytest.mark.parametrize("kind", [DirectorySource] * (PARTS - 1) + [GitSource])
def test_killed_loop_loses_and_repeats_no_change(
    kind: type[DirectorySource] | type[GitSource], workspace: Workspace, rng: random.Random
) -> None:
    source, sequence = kind(workspace), TreeSequence(rng)
    workspace.write_secrets(ACCOUNTS, "first")
    source.publish(sequence.tree)
    loop, duration = start_and_converge(workspace, source, sequence)
    interrupted = 0
    for _ in range(KILLS // PARTS):
        sequence.next_tree()
        if is_start := rng.random() < 0.5:
            loop.kill()  # while the loop is idle
        commit = source.publish(sequence.tree)
        started_at = time.monotonic()
        if is_start:
            loop = start(workspace, source)
        moment = started_at + rng.uniform(*rng.choice(MOMENTS)) * duration
        time.sleep(max(0.0, moment - time.monotonic()))
        assert not loop.has_ended(), loop.text()
        loop.kill()
        workspace.wait_until_idle()
        interrupted += 0 < check_no_partial_account(workspace.current(), sequence) < len(ACCOUNTS)
        revision = workspace.check()[-1].number
        loop, elapsed = start_and_converge(workspace, source, sequence)
        duration = max(elapsed, 0.8 * duration)
        changes = workspace.check()
        if commit is not None:
            commits = workspace.commits()
            assert {commits[change.number] for change in changes if change.number > revision} <= {
                commit
            }
    # It has nothing to apply if the last kill came after the commits.
    wait_until(
        lambda: loop.handles(signal.SIGTERM) and source.is_checked_out(),
        "a loop that has started",
    )
    loop.signal(signal.SIGTERM)
    assert loop.wait() == 0, loop.text()
    assert "Traceback" not in loop.text()
    assert workspace.current() == sequence.after
    workspace.wait_until_idle()
    workspace.check()
    workspace.check_no_leftover_files()
    source.check_no_leftover_files()
    print(f"{interrupted} of {KILLS // PARTS} kills hit the commits; a tree takes {duration:.2f} s")


def start(workspace: Workspace, source: DirectorySource | GitSource) -> ForkedProcess:
    return workspace.start("run", *source.arguments, "--poll", source.poll, *RUN)


def start_and_converge(
    workspace: Workspace, source: DirectorySource | GitSource, sequence: TreeSequence
) -> tuple[ForkedProcess, float]:
    """Start a loop and wait until it has applied the tree; return the loop and the duration."""
    started_at = time.monotonic()
    loop = start(workspace, source)
    workspace.wait_until_applied(sequence.after, loop)
    elapsed = time.monotonic() - started_at
    wait_until(workspace.has_no_account_status, "a store without account statuses")
    return loop, elapsed
