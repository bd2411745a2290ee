"""A store or a backup is created beside what commands that were killed have left."""

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from sendroute.files import replacement
from sendroute.store.atomic_create import created_atomically
from sendroute.store.backups import backup_store
from sendroute.store.create import init_store


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def killed(directory: Path, target: str = "sendroute.db") -> Path:
    """Kill a process while it builds a file, and return what it leaves."""
    before = names(directory)
    child = os.fork()
    if child == 0:
        with created_atomically(directory / target) as temporary:
            temporary.write_bytes(b"a part of it")
            temporary.with_name(f"{temporary.name}-journal").touch()
            os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    (left,) = names(directory) - before
    return directory / left


def test_the_next_command_removes_what_a_killed_one_left(tmp_path: Path, say: Any) -> None:
    home, backups = tmp_path / "home", tmp_path / "backups"
    home.mkdir()
    backups.mkdir()
    killed(home)
    url = f"sqlite:///{home}/sendroute.db"
    init_store(url, say.provenance).close()
    assert names(home) == {"sendroute.db"}
    killed(backups, "monday.db")
    (backups / ".tuesday.db.0123abcd.tmp").mkdir()  # killed before it created a file
    backup_store(url, backups / "wednesday.db")
    assert names(backups) == {"wednesday.db"}


def test_what_a_living_process_builds_is_not_removed(tmp_path: Path) -> None:
    with created_atomically(tmp_path / "a.db") as temporary:
        temporary.write_bytes(b"a")
        with created_atomically(tmp_path / "b.db") as other:
            other.write_bytes(b"b")
        with pytest.raises(ZeroDivisionError), created_atomically(tmp_path / "c.db"):
            raise ZeroDivisionError
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "a.db": b"a",
        "b.db": b"b",
    }


def test_nothing_else_is_removed(tmp_path: Path) -> None:
    with_more = killed(tmp_path)
    (with_more / "notes").write_text("of a user")
    link, target = tmp_path / ".a.db.0123abcd.tmp", killed(tmp_path)
    kept = tmp_path / "kept"
    target.rename(kept)
    link.symlink_to(kept)
    (tmp_path / ".other.tmp").mkdir()
    (tmp_path / ".a.db.deadbeef.tmp").write_text("of another kind")
    before = names(tmp_path)
    with created_atomically(tmp_path / "a.db"):
        pass
    assert names(tmp_path) == before | {"a.db"}
    assert names(kept) == {"new", "new-journal"}
    assert names(with_more) == {"new", "new-journal", "notes"}


def test_a_directory_that_was_taken_for_a_leftover_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another command may find it between its creation and its lock."""
    removed = []

    def flock(descriptor: int, _until: float) -> None:
        if not removed:
            (taken,) = tmp_path.iterdir()
            taken.rmdir()
            removed.append(taken)
        fcntl.flock(descriptor, fcntl.LOCK_EX)

    monkeypatch.setattr(replacement, "lock", flock)
    with created_atomically(tmp_path / "a.db"):
        pass
    assert removed
    assert names(tmp_path) == {"a.db"}


@pytest.mark.parametrize("name", ["x" * 255, "語" * 85], ids=["ASCII", "three bytes a character"])
def test_a_name_may_have_the_length_that_the_system_allows(tmp_path: Path, name: str) -> None:
    with created_atomically(tmp_path / name) as temporary:
        temporary.write_bytes(b"built")
    with replacement.replacing(tmp_path / name) as file:
        file.write(b"replaced")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {name: b"replaced"}
