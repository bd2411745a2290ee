"""``sendroute.lock``: which store a tree of manifests is applied to.

It stands beside the manifests in git, so that an empty or another store is not taken for the
right one, and everyone stamped with today's default.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from sendroute.model.codes import finding
from sendroute.model.current import Current
from sendroute.model.finding import Finding, Where
from sendroute.model.provenance import Head
from sendroute.store.lockfile import contradictory

NAME = "sendroute.lock"

Contains = Callable[[Head], bool]


class LockHeader(msgspec.Struct, frozen=True):
    """The part of a lock file that identifies its store. The commit id is None in format 1.0, and
    was called ``attempt`` in 1.1."""

    lineage: str
    revision: int
    commit_id: str | None = None
    attempt: str | None = None


class Read(NamedTuple):
    """A lock file as it was read; ``head`` is None where it names no store, as ``findings`` say."""

    path: Path
    head: LockHeader | None
    findings: tuple[Finding, ...] = ()


def locks_of(
    paths: Sequence[str], written: str | None = None, top: str | None = None
) -> list[Read]:
    """The lock files that concern these paths, and the one that is to be written, where it is
    there already. ``top`` is that of a checkout, which has no repository in it."""
    candidates = [lock for path in paths if path != "-" for lock in beside(path, top)]
    candidates += [Path(written)] if written is not None else []
    found: dict[Path, Path] = {}
    for path in candidates:
        if os.path.isfile(path):  # noqa: PTH113 - a name too long is not there, and no error
            found.setdefault(path.resolve(), path)
    return [_read(path) for path in found.values()]


def beside(path: str, top: str | None = None) -> Iterator[Path]:
    """Where a lock file may stand: in a folder given or beside a file given (``apply
    manifests/*.yaml``), and in every folder above it of the same repository, for a part of a tree
    belongs to the store of the whole."""
    given = Path(path)
    folder = given if given.is_dir() else given.parent
    yield folder / NAME
    within = folder.resolve()
    above = [within, *within.parents]
    root = Path(top).resolve() if top is not None else None
    ends = (i for i, place in enumerate(above) if (place / ".git").exists() or place == root)
    yield from (place / NAME for place in above[1 : next(ends, 0) + 1])


def _read(path: Path) -> Read:
    try:
        return Read(path, msgspec.json.decode(path.read_bytes(), type=LockHeader))
    except OSError as error:
        told = finding(
            "unreadable",
            f"The lock file cannot be read: {(error.strerror or 'it failed').lower()}.",
            hint="Give the user that runs sendroute the right to read it.",
            where=Where(str(path), 0),
        )
        return Read(path, None, (told,))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Read(path, None, contradictory(path).findings)


def mismatches(locks: Sequence[Read], current: Current, contains: Contains) -> Iterator[Finding]:
    """``wrong-store`` or ``store-empty`` for each lock file that names another store, and what is
    wrong with one that names none. ``contains``: whether a revision is in the store's
    history."""
    for path, head, findings in locks:
        yield from findings
        if head is None:
            continue
        if head.lineage != current.lineage:
            yield _another(current, head, path)
        elif current.revision < head.revision:
            yield _older(current, head, path)
        elif (name := head.commit_id or head.attempt) and not contains(Head(head.revision, name)):
            yield _elsewhere(head, path)


def _another(current: Current, head: LockHeader, path: Path) -> Finding:
    if current.platform is None and not current.accounts:
        return finding(
            "store-empty",
            f"The store is empty, and {path} names one with history.",
            hint="Name that store with --store, or make this one from the lock file: "
            f"sendroute init --from-lock {path}",
            where=Where(str(path), 0),
        )
    return finding(
        "wrong-store",
        f"{path} names the store {head.lineage}, and this one is {current.lineage}.",
        hint="Name the right store with --store; where this one is right, remove the lock file.",
        where=Where(str(path), 0),
    )


def _older(current: Current, head: LockHeader, path: Path) -> Finding:
    """The right store's past, a backup or a copy: what happened since would be decided anew."""
    return finding(
        "wrong-store",
        f"{path} was written at revision {head.revision}, and this store is at {current.revision}:"
        " an older copy.",
        hint=f"Name the right store with --store, or {_bring(path)}",
        where=Where(str(path), 0),
    )


def _elsewhere(head: LockHeader, path: Path) -> Finding:
    """A backup that went on without what the lost store had done since."""
    return finding(
        "wrong-store",
        f"{path} was written at revision {head.revision},"
        " which is not in this store's history: it continued from an older copy.",
        hint=f"Name the right store with --store, or {_bring(path)}",
        where=Where(str(path), 0),
    )


def _bring(path: Path) -> str:
    return (
        f"bring this one to that state: sendroute restore {path}. Where what this one holds is"
        " meant, remove the lock file; the next --write-lock writes it anew."
    )
