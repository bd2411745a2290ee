"""``kill -9`` while a lock file or a backup is written: there is the old one, or the new, or none,
never half of one; and what is left beside is taken for nothing."""

import os
import random
import time
from contextlib import suppress
from pathlib import Path

from tests.planner.values import as_store

from sendroute.store import reading
from sendroute.store.backups import open_backup
from sendroute.store.lockfile import read as read_lock
from sendroute.store.record import open_store

from .conftest import Place
from .estates import ACCOUNTS, Estate, lay
from .forks import Forked
from .replay import check
from .test_killed_apply import APPLY

KILLS = 15
# Seconds that a lock file, and a backup, is in the making at most.
LOCKING = 0.005
COPYING = 0.1


def test_a_lock_file_is_the_old_one_or_the_new(place: Place, chance: random.Random) -> None:
    estate = Estate(chance)
    place.lay_secrets(ACCOUNTS, "first")
    folder = place.home / "trees" / "manifests"
    lock = folder / "sendroute.lock"
    words = ("apply", str(folder), *APPLY, "--write-lock", str(lock))
    lay(estate.tree, folder)
    place.run(*words)
    news = 0
    for _ in range(KILLS):
        old = lock.read_bytes()
        estate.go_on()
        lay(estate.tree, folder)
        child = place.start(*words)
        kill(place, child, folder, chance.random() * LOCKING)
        left = lock.read_bytes()
        place.run(*words)
        new = lock.read_bytes()
        assert left in (old, new), "it is neither the old one nor the new"
        news += left == new
        assert as_store(read_lock(lock).current()) == estate.after
    beside = [path.name for path in folder.iterdir() if not path.name.endswith(".yaml")]
    assert all(name == lock.name or name.startswith(f".{lock.name}.") for name in beside)
    print(f"{news} of {KILLS} were the new one, {len(beside) - 1} left a part of one")


def test_a_backup_is_whole_or_not_there(place: Place, chance: random.Random) -> None:
    estate = Estate(chance)
    place.lay_secrets(ACCOUNTS, "first")
    for turn in range(4):
        folder = lay(estate.tree, place.home / "trees" / str(turn))
        place.run("apply", str(folder), *APPLY)
        estate.go_on()
    with open_store(place.url) as store:
        current = store.read()
    folder = place.home / "backups"
    folder.mkdir()
    there = 0
    for turn in range(KILLS):
        target = folder / f"{turn}.db"
        child = place.start("backup", str(target))
        kill(place, child, folder, chance.random() * COPYING)
        there += target.exists()
        if not target.exists():
            place.run("backup", str(target))
        assert target.stat().st_mode & 0o777 == 0o600
        check(f"sqlite:///{target}")
        with open_backup(target) as backup, backup.reading() as connection:
            assert reading.read(connection, None) == current
    beside = {path.name for path in folder.iterdir()} - {f"{n}.db" for n in range(KILLS)}
    assert all(name.startswith(".") and ".tmp" in name for name in beside), beside
    print(f"{there} of {KILLS} were there, {len(beside)} files are left of the others")


def kill(place: Place, child: Forked, folder: Path, after: float) -> None:
    """So many seconds after it began to change anything in a folder."""
    before = _facts(folder)
    while _facts(folder) == before and not child.ended():
        pass  # the moment is short
    time.sleep(after)
    child.kill()
    place.rest()


def _facts(folder: Path) -> list[tuple[str, int, int]]:
    found = []
    for entry in os.scandir(folder):
        with suppress(FileNotFoundError):
            status = entry.stat()
            found.append((entry.name, status.st_size, status.st_mtime_ns))
    return sorted(found)
