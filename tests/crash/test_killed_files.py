"""``kill -9`` while a lock file or a backup is written: the old file, the new file or no file
exists, never a partial one; the next command removes temporary files."""

import os
import random
import time
from contextlib import suppress
from pathlib import Path

from tests.planner.values import as_store

from sendroute.store import current_state
from sendroute.store.backups import open_backup
from sendroute.store.lockfile import read as read_lock
from sendroute.store.record import open_store

from .conftest import Workspace
from .fork_server import ForkedProcess
from .manifest_trees import ACCOUNTS, TreeSequence, write_tree
from .replay import check
from .test_killed_apply import APPLY

KILLS = 15
# The longest time, in seconds, that writing a lock file and a backup takes.
LOCKING = 0.005
COPYING = 0.1


def test_killed_apply_leaves_the_old_or_the_new_lock_file(
    workspace: Workspace, rng: random.Random
) -> None:
    sequence = TreeSequence(rng)
    workspace.write_secrets(ACCOUNTS, "first")
    directory = workspace.home / "trees" / "manifests"
    lock = directory / "sendroute.lock"
    arguments = ("apply", str(directory), *APPLY, "--write-lock", str(lock))
    write_tree(sequence.tree, directory)
    workspace.run(*arguments)
    new_files = 0
    for _ in range(KILLS):
        old = lock.read_bytes()
        sequence.next_tree()
        write_tree(sequence.tree, directory)
        child = workspace.start(*arguments)
        kill(workspace, child, directory, rng.random() * LOCKING)
        left = lock.read_bytes()
        workspace.run(*arguments)
        new = lock.read_bytes()
        assert left in (old, new), "the lock file is neither the old nor the new one"
        new_files += left == new
        assert as_store(read_lock(lock).current()) == sequence.after
    temporary = [path.name for path in directory.iterdir() if not path.name.endswith(".yaml")]
    assert all(name == lock.name or name.startswith(f".{lock.name}.") for name in temporary)
    print(
        f"{new_files} of {KILLS} lock files were new, {len(temporary) - 1} temporary files remain"
    )


def test_killed_backup_leaves_a_complete_file_or_none(
    workspace: Workspace, rng: random.Random
) -> None:
    sequence = TreeSequence(rng)
    workspace.write_secrets(ACCOUNTS, "first")
    for turn in range(4):
        directory = write_tree(sequence.tree, workspace.home / "trees" / str(turn))
        workspace.run("apply", str(directory), *APPLY)
        sequence.next_tree()
    with open_store(workspace.url) as store:
        current = store.read()
    directory = workspace.home / "backups"
    directory.mkdir()
    completed = 0
    for turn in range(KILLS):
        target = directory / f"{turn}.db"
        child = workspace.start("backup", str(target))
        kill(workspace, child, directory, rng.random() * COPYING)
        completed += target.exists()
        if not target.exists():
            workspace.run("backup", str(target))
        assert target.stat().st_mode & 0o777 == 0o600
        check(f"sqlite:///{target}")
        with open_backup(target) as backup, backup.reading() as connection:
            assert current_state.read(connection, None) == current
    workspace.run("backup", str(directory / "last.db"))
    backups = {"last.db", *(f"{turn}.db" for turn in range(KILLS))}
    assert {path.name for path in directory.iterdir()} == backups
    print(f"{completed} of {KILLS} backups were complete")


def kill(workspace: Workspace, child: ForkedProcess, directory: Path, after: float) -> None:
    """Kill the child ``after`` seconds after its first change in the directory."""
    before = _listing(directory)
    while _listing(directory) == before and not child.has_ended():
        pass  # busy waiting: the interval is short
    time.sleep(after)
    child.kill()
    workspace.wait_until_idle()


def _listing(directory: Path) -> list[tuple[str, int, int]]:
    files = []
    for entry in os.scandir(directory):
        with suppress(FileNotFoundError):
            status = entry.stat()
            files.append((entry.name, status.st_size, status.st_mtime_ns))
    return sorted(files)
