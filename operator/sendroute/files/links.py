"""Which symbolic links of a tree are followed.

Anybody who may commit to a tree can commit a link. One that leads out of the tree is followed,
because mounts and shared directories are such links, but not to everything: what is above the tree
holds files of others, and ``/proc``, ``/sys`` and ``/dev`` hold no files at all. What links out of
the tree lead to is limited in total.
"""

import errno
import os
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

MAX_NAMES = 200_000
MAX_BYTES = 512 << 20

MAX_LINKS = 40  # as Linux follows them (path_resolution(7))
_SYSTEM = ("/proc", "/sys", "/dev")
_MEMORY = "/dev/shm"  # noqa: S108 - an ordinary file system; nothing is created in it


class LinkRefusal(StrEnum):
    """Why a link is not followed, as a clause."""

    ABOVE = "it leads to a directory above the manifests"
    SYSTEM = "it leads into /proc, /sys or /dev"
    MANY = f"the links out of the tree lead to more than {MAX_NAMES:,} names"
    LARGE = f"the links out of the tree lead to more than {MAX_BYTES >> 20} MiB of manifests"


class Region(NamedTuple):
    """A part of the file system outside of the tree. ``link`` is the link of the tree that leads to
    it, and ``roots`` are the targets of this link and of those that were followed behind it."""

    link: str
    roots: tuple[str, ...]


class TreeLinks:
    """The links of one walk over a tree.

    Args:
        paths: the paths that the user gave: directories, files, or links to them.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._tops = [os.path.realpath(path) for path in paths if os.path.isdir(path)]
        self._names = MAX_NAMES
        self._bytes = MAX_BYTES

    def follow(self, path: str, region: Region | None) -> Region | LinkRefusal | None:
        """Decide whether to follow a link.

        Args:
            path: the link.
            region: where the link is; None for the tree.

        Returns:
            The region that it leads to, None for the tree itself, or why it is not followed.

        Raises:
            OSError: its links lead in a circle, or its name is too long.
        """
        target = _resolve(path)
        if target is None:
            return LinkRefusal.SYSTEM
        if any(is_part(target, top) for top in self._tops):
            return None
        roots = region.roots if region is not None else ()
        if any(_is_below(root, target) for root in (*self._tops, *roots)):
            return LinkRefusal.ABOVE
        return Region(region.link if region is not None else path, (*roots, target))

    @property
    def names_left(self) -> int:
        """How many names outside of the tree may still be listed."""
        return max(self._names, 0)

    def count(self, names: int, size: int = 0) -> LinkRefusal | None:
        """Count what was found outside of the tree.

        Args:
            names: how many names were listed.
            size: the bytes of the manifests among them.

        Returns:
            Why nothing more is read there; None if there is room.
        """
        self._names -= names
        self._bytes -= size
        if self._names < 0:
            return LinkRefusal.MANY
        return LinkRefusal.LARGE if self._bytes < 0 else None


def is_part(target: str, top: str) -> bool:
    """Whether a real path belongs to a directory: it is in it, and under no hidden name. The names
    with two dots are those of a mounted ConfigMap.

    Args:
        target: the path.
        top: the real path of the directory.

    Returns:
        Whether it belongs to it; the directory itself does.
    """
    if target == top:
        return True
    return _is_below(target, top) and not any(
        step.startswith(".") and not step.startswith("..")
        for step in target[len(top.rstrip("/")) + 1 :].split("/")
    )


def _is_below(path: str, directory: str) -> bool:
    return path.startswith(directory.rstrip("/") + "/") and path != directory


def _resolve(path: str) -> str | None:
    """Where a link leads, as a real path; None if a step of the way is in a system directory. The
    links of ``/proc`` lead anywhere (proc(5)), so the target alone does not show it."""
    directory, name = os.path.split(os.path.abspath(path))
    current = os.path.realpath(directory)
    steps = [name]
    links = 0
    while steps:
        step = steps.pop()
        if step in ("", "."):
            continue
        if step == "..":
            current = os.path.dirname(current)
            continue
        following = os.path.join(current, step)
        if links and _is_system(following):
            return None
        try:
            target = os.readlink(following)
        except OSError as error:
            if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
                raise
            current = following  # no link, or nothing: the caller sees which
            continue
        links += 1
        if links > MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if target.startswith("/"):
            current = "/"
        steps += reversed(target.split("/"))
    return current


def _is_system(path: str) -> bool:
    if path == _MEMORY or path.startswith(f"{_MEMORY}/"):
        return False
    return any(path == system or path.startswith(f"{system}/") for system in _SYSTEM)
