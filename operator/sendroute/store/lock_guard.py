"""``sendroute.lock``: which store a tree of manifests is applied to.

It is in git, beside the manifests, so that a new or another store is not used by mistake: every
domain would start again on the present default.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from errno import ENAMETOOLONG, ENOTDIR
from typing import NamedTuple, Protocol

from msgspec import structs

from sendroute.model.codes import finding
from sendroute.model.current import Current
from sendroute.model.finding import Finding, Severity, whole_file
from sendroute.model.problem import ProblemError
from sendroute.model.provenance import Head
from sendroute.model.remedy import Perform, ReplaceEmptyStore, Task
from sendroute.store.lock_text import LockHeader, edited, header_of, is_edited, load

NAME = "sendroute.lock"

_RESTORE = (
    "Specify the store that the lock file belongs to. If the state of the given store is right,"
    " remove the lock file and write a new one with the next change. Otherwise restore the state of"
    " the lock file."
)


class Commits(Protocol):
    """The commits of a store."""

    @property
    def location(self) -> str:
        """The store's path, or its URL without a password."""
        ...

    def contains(self, head: Head) -> bool:
        """Return whether a commit is in the store's history, or the store was restored to it.

        Args:
            head: the revision and the id of the commit.
        """
        ...

    def is_changed_since(self, head: Head) -> bool:
        """Whether anything that a lock file of that commit holds was changed after it."""
        ...


IsTop = Callable[[str], bool]
"""Whether a directory is the top of a checkout: lock files above it belong to other manifests."""


class LockFile(NamedTuple):
    """A lock file; ``header`` is None if it is unreadable, and ``findings`` say why.
    ``is_edited``: it is not as it was written."""

    path: str
    header: LockHeader | None
    findings: tuple[Finding, ...] = ()
    is_edited: bool = False


def locks_of(
    paths: Sequence[str],
    is_top: IsTop,
    written: str | None = None,
    top: str | None = None,
    others: Sequence[str] = (),
) -> list[LockFile]:
    """Read the lock files of some manifests.

    Args:
        paths: the paths of the manifests; ``-`` (standard input) is ignored.
        is_top: finds the top of a checkout.
        written: the lock file that an apply will write, if it exists already.
        top: the top directory of a checkout without a repository; None for a working tree.
        others: further lock files.

    Returns:
        The lock files, readable or not.
    """
    candidates = [
        lock for path in paths if path != "-" for lock in lock_file_candidates(path, is_top, top)
    ]
    candidates += [_plain(lock) for lock in (written, *others) if lock is not None]
    paths_by_file: dict[str, str] = {}
    for path in candidates:
        if _may_exist(path):
            paths_by_file.setdefault(os.path.realpath(path), path)
    return [_read(path) for path in paths_by_file.values()]


def _may_exist(path: str) -> bool:
    """Whether a lock file is there, or cannot be seen: a dangling link, a named pipe or a directory
    in its place, or a directory that may not be entered, does not mean that there is none."""
    try:
        os.stat(path)
        return True
    except FileNotFoundError:
        return os.path.islink(path)
    except OSError as error:
        return error.errno not in (ENOTDIR, ENAMETOOLONG)


def lock_file_candidates(path: str, is_top: IsTop, top: str | None = None) -> Iterator[str]:
    """Yield the possible paths of a lock file: in the given directory, or beside the given file,
    and in every directory above it in the same repository. A part of a tree belongs to the store of
    the whole tree.

    Args:
        path: a path of manifests.
        is_top: as for :func:`locks_of`.
        top: as for :func:`locks_of`.

    Yields:
        The paths, the nearest first; the files need not exist.
    """
    # Not pathlib: it raises for a directory that may not be entered, and for links in a circle.
    directory = path if os.path.isdir(path) else os.path.dirname(path)
    yield _plain(os.path.join(directory, NAME))
    above = [os.path.realpath(directory or ".")]
    while above[-1] != (parent := os.path.dirname(above[-1])):
        above.append(parent)
    root = os.path.realpath(top) if top is not None else None
    tops = (i for i, parent in enumerate(above) if is_top(parent) or parent == root)
    yield from (os.path.join(parent, NAME) for parent in above[1 : next(tops, 0) + 1])


def _plain(path: str) -> str:
    """A path without ``.`` and empty parts. ``..`` stays, because it may follow a link."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return ("/" if path.startswith("/") else "") + "/".join(parts)


def _read(path: str) -> LockFile:
    try:
        content = load(path)
        header = header_of(content, path)
        return LockFile(path, header, is_edited=is_edited(content, header))
    except ProblemError as problem:
        return LockFile(path, None, problem.findings)


def mismatches(
    locks: Sequence[LockFile],
    current: Current,
    commits: Commits,
    *,
    written: str | None = None,
) -> Iterator[Finding]:
    """Compare lock files with a store.

    Args:
        locks: the lock files.
        current: the store's lineage and revision.
        commits: the commits of the store.
        written: the lock file that an apply will write; None for none.

    Yields:
        ``wrong-store`` or ``store-empty`` for each lock file of another store, the warning
        ``stale-lock`` for each that lacks later changes of the store, the warning ``edited-lock``
        for each that is not as it was written, and the findings of unreadable lock files.
    """
    rewritten = os.path.realpath(written) if written is not None else None
    for lock in locks:
        yield from lock.findings
        path, header = lock.path, lock.header
        if header is None:
            continue
        head, is_rewritten = header.head, os.path.realpath(path) == rewritten
        if lock.is_edited and not is_rewritten:
            yield edited(path, Severity.WARNING)
        if header.lineage != current.lineage:
            yield _other_store(current, header.lineage, path, commits.location)
        elif current.revision < head.revision:
            yield _older_copy(current, head, path)
        elif head.commit_id and not commits.contains(head):
            yield _diverged_store(head, path)
        elif (
            current.revision > head.revision
            and not is_rewritten
            and not lock.is_edited
            and commits.is_changed_since(head)
        ):
            yield _stale_lock(current, head, path)


def lost_store(missing: Finding, lock: LockFile) -> Finding:
    """Say what a missing store means if there is a lock file: the store is lost, or its URL is
    wrong.

    Args:
        missing: the finding ``not-initialised``.
        lock: the lock file that belongs to the manifests.

    Returns:
        The same finding, which leads to the lock file.
    """
    return structs.replace(
        missing,
        message=f"{missing.message} {lock.path} was written for one.",
        hint="Correct the store's URL, or create the store again: from a backup, or from the lock"
        " file.",
        remedy=Perform(Task.RESTORE_FROM_LOCK_FILE, lock.path),
    )


def _stale_lock(current: Current, head: Head, path: str) -> Finding:
    return finding(
        "stale-lock",
        f"{path} was written at revision {head.revision}, and the store is at revision"
        f" {current.revision}: a store created from it would lack the later changes.",
        hint="Write the lock file again.",
        remedy=Perform(Task.WRITE_LOCK_FILE, path),
        where=whole_file(str(path)),
    )


def _other_store(current: Current, lineage: str, path: str, location: str) -> Finding:
    if current.is_empty:
        return finding(
            "store-empty",
            f"The given store is empty, but {path} belongs to a store with history.",
            hint="Specify the store that the lock file belongs to. If that store was lost, move the"
            " empty one away, and create the lost one again from the lock file.",
            remedy=ReplaceEmptyStore(location, path),
            where=whole_file(str(path)),
        )
    return finding(
        "wrong-store",
        f"{path} belongs to the store {lineage}, but the given store is {current.lineage}.",
        hint="Specify the store that the lock file belongs to. If the given store is right, remove"
        " the lock file.",
        where=whole_file(str(path)),
    )


def _older_copy(current: Current, head: Head, path: str) -> Finding:
    """An older copy of the right store. An apply would decide the later changes again."""
    return finding(
        "wrong-store",
        f"The given store is an older copy at revision {current.revision}, but {path} was written"
        f" at revision {head.revision}.",
        hint=_RESTORE,
        remedy=Perform(Task.RESTORE, str(path)),
        where=whole_file(str(path)),
    )


def _diverged_store(head: Head, path: str) -> Finding:
    """A store from an older backup, which since then has other changes than the lost store."""
    return finding(
        "wrong-store",
        f"{path} was written at revision {head.revision}, which is not in the history of the given"
        " store: the store was created from an older copy.",
        hint=_RESTORE,
        remedy=Perform(Task.RESTORE, str(path)),
        where=whole_file(str(path)),
    )
