"""A file that appears under its name whole or not at all, and never in the place of another."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sendroute.store.errors import problem
from sendroute.store.url import unusable


def require_absent(path: Path) -> None:
    """Raises ``store-exists`` if the file, or a log of SQLite beside it, exists: SQLite would play
    a log without its database into the new one."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-journal"):
        there = path.with_name(name)
        if os.path.lexists(there):
            raise problem(
                "store-exists",
                f"{there} exists already and is never overwritten.",
                "Give another path, or first move this file and those beside it away.",
            )


@contextmanager
def created_atomically(path: Path) -> Iterator[Path]:
    """A file under a temporary name, which takes ``path`` when the block ends well. Readable by
    its owner alone."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise unusable(path.parent, error) from error
    try:
        yield temporary
        try:
            _publish(temporary, path)
        except OSError as error:
            raise unusable(path, error) from error
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            temporary.with_name(temporary.name + suffix).unlink(missing_ok=True)


def _publish(temporary: Path, path: Path) -> None:
    """A link, unlike a rename, never takes the place of what another process made meanwhile."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        require_absent(path)
        raise
    except OSError:  # some network and desktop file systems have no links
        require_absent(path)
        temporary.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
