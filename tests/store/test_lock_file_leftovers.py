"""A lock file is written beside what writers that were killed have left."""

import fcntl
import os
from pathlib import Path

from sendroute.store.record import Store


def _leftover(path: Path, digits: str) -> Path:
    leftover = path.with_name(f".{path.name}.{digits}.tmp")
    leftover.write_text("{")
    return leftover


def test_the_next_write_removes_what_a_killed_one_left(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "sendroute.lock"
    left = [_leftover(path, digits) for digits in ("0123abcd", "deadbeef")]
    store.write_lock(path)
    assert not any(item.exists() for item in left)
    assert list(tmp_path.glob(".sendroute.lock*")) == []


def test_the_file_of_a_writer_that_lives_is_not_removed(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "sendroute.lock"
    live = _leftover(path, "0123abcd")
    with live.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        store.write_lock(path)
    assert live.exists()


def test_nothing_else_is_removed(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "sendroute.lock"
    target = tmp_path / "elsewhere"
    target.write_text("kept")
    link = tmp_path / ".sendroute.lock.0123abcd.tmp"
    link.symlink_to(target)
    pipe = tmp_path / ".sendroute.lock.deadbeef.tmp"
    os.mkfifo(pipe)  # opening it must not wait
    others = [
        tmp_path / name
        for name in (".sendroute.lock.tmp", ".other.lock.0123abcd.tmp", ".sendroute.lock.zz.tmp")
    ]
    for other in others:
        other.write_text("kept")
    store.write_lock(path)
    assert all(item.exists() for item in (target, pipe, *others))
    assert link.is_symlink()


def test_a_writer_whose_file_was_taken_for_a_leftover_writes_another_one(
    store: Store, tmp_path: Path, monkeypatch: object
) -> None:
    """Another writer may find the file between its creation and its lock."""
    from sendroute.files import replacement

    path = tmp_path / "sendroute.lock"
    removed = []

    def flock(descriptor: int, _until: float) -> None:
        if not removed:
            (taken,) = tmp_path.glob(".sendroute.lock.*.tmp")
            taken.unlink()
            removed.append(taken)
        fcntl.flock(descriptor, fcntl.LOCK_EX)

    monkeypatch.setattr(replacement, "lock", flock)  # type: ignore[attr-defined]
    store.write_lock(path)
    assert removed
    assert path.read_text().startswith("{")
