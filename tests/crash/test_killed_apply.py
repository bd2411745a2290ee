"""``kill -9`` at any moment of ``apply``: no change is lost, repeated or partly applied, and the
next apply completes the work."""

import json
import random
import time

import pytest

from .conftest import KILLS, PARTS, Workspace, check_no_partial_account
from .manifest_trees import ACCOUNTS, TreeSequence, write_tree

# Fractions of the duration of a run: the whole run, and the time in which it commits.
MOMENTS = [(-0.05, 1.1), (0.4, 0.9)]
APPLY = ("--auto-approve", "--max-change-percent", "100", "--max-remove-percent", "100", "-q")


@pytest.mark.parametrize("_part", range(PARTS))
def test_killed_apply_loses_and_repeats_no_change(
    _part: int, workspace: Workspace, rng: random.Random
) -> None:
    sequence = TreeSequence(rng)
    workspace.write_secrets(ACCOUNTS, "first")
    directory = str(write_tree(sequence.tree, workspace.home / "trees" / "0"))
    duration = run_apply(workspace, directory)
    interrupted = 0
    for turn in range(1, KILLS // PARTS + 1):
        sequence.next_tree()
        if rng.random() < 0.3:
            workspace.write_secrets(rng.sample(ACCOUNTS, 2), f"password {turn}")
        directory = str(write_tree(sequence.tree, workspace.home / "trees" / str(turn)))
        child = workspace.start("apply", directory, *APPLY)
        moment = child.started_at + rng.uniform(*rng.choice(MOMENTS)) * duration
        time.sleep(max(0.0, moment - time.monotonic()))
        child.kill()
        workspace.wait_until_idle()
        interrupted += 0 < check_no_partial_account(workspace.current(), sequence) < len(ACCOUNTS)
        workspace.check(decrypts=False)
        elapsed = run_apply(workspace, directory)
        duration = max(elapsed, 0.8 * duration)
        assert workspace.current() == sequence.after
        workspace.check()
        check_plan_is_empty(workspace, directory)
        workspace.check_no_leftover_files()
    print(f"{interrupted} of {KILLS // PARTS} kills hit the commits; a run takes {duration:.2f} s")


def run_apply(workspace: Workspace, directory: str) -> float:
    started_at = time.monotonic()
    workspace.run("apply", directory, *APPLY)
    return time.monotonic() - started_at


def check_plan_is_empty(workspace: Workspace, directory: str) -> None:
    planned = workspace.run("plan", directory, "-o", "json", "-q")
    assert json.loads(planned.text())["changes"] == []
