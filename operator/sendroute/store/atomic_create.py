"""Creates a file completely or not at all, and never overwrites an existing file.

SQLite writes the file, by its name and with logs beside it.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sendroute.files.replacement import building
from sendroute.model.problem import ProblemError
from sendroute.store.errors import problem
from sendroute.store.url import unusable, unwritable


def require_absent(path: Path) -> None:
    """Check that no file exists at this path.

    Raises :class:`~sendroute.model.problem.ProblemError` (``store-exists``) if the file, or a
    SQLite log beside it, exists. SQLite would replay such a log into the new database.
    """
    for name in (path.name, f"{path.name}-wal", f"{path.name}-journal"):
        existing = path.with_name(name)
        if os.path.lexists(existing):
            raise problem(
                "store-exists",
                f"{existing} already exists. Sendroute never overwrites it.",
                "Specify another path."
                if existing == path
                else "It belongs to a store that was"
                " moved or lost. Specify another path, or move it to where that store is.",
            )


@contextmanager
def created_atomically(path: Path, subject: str | None = None) -> Iterator[Path]:
    """A context with an empty file in a temporary directory, readable only by its owner.

    The file gets the name ``path`` when the block succeeds, and is deleted when it fails. Raises
    :class:`~sendroute.model.problem.ProblemError`: ``store-exists`` if another process created
    ``path`` in the meantime, ``store-failed`` if the directory cannot be written, or ``unwritable``
    if the file is no store but ``subject``.
    """
    with ExitStack() as stack:
        try:
            temporary = stack.enter_context(building(path))
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except OSError as error:
            raise _failed(path, path.parent, subject, error) from error
        yield temporary
        try:
            _publish(temporary, path)
        except OSError as error:
            raise _failed(path, path, subject, error) from error


def remove_with_logs(path: Path) -> None:
    """Remove a new SQLite file, and what SQLite created beside it.

    Args:
        path: the file; it need not exist.
    """
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _failed(path: Path, where: Path, subject: str | None, error: OSError) -> ProblemError:
    return unusable(where, error) if subject is None else unwritable(subject, path, error)


def _publish(temporary: Path, path: Path) -> None:
    """A link, unlike a rename, never overwrites a file that another process has just created."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        require_absent(path)
        raise
    except OSError:  # some network and desktop file systems do not support hard links
        require_absent(path)
        temporary.rename(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
