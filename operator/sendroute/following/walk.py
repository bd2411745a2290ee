"""The files and folders that reading a path of manifests comes by: all but names with a dot
before them, links followed, each folder once."""

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

# As the reader has it: of other files in a folder nothing is read.
ENDINGS = (".yaml", ".yml", ".json")


class Met(NamedTuple):
    """``status`` is of what the path leads to; None where that cannot be had, ``errno`` says why.
    ``link`` says that the path itself is a link."""

    path: str
    status: os.stat_result | None
    link: bool = False
    errno: int = 0


def walk(given: str) -> Iterator[Met]:
    """In the order of names. A folder that cannot be listed comes twice: as itself, and without
    status."""
    top = meet(given)
    yield top
    if top.status is None or not stat.S_ISDIR(top.status.st_mode):
        return
    seen = {(top.status.st_dev, top.status.st_ino)}
    pending = [given]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(folder) as listing:
                children = sorted(listing, key=lambda child: child.name)
        except OSError as error:
            yield Met(folder, None, errno=error.errno or 0)
            continue
        inner = []
        for child in children:
            if not _is_of_interest(child):
                continue
            met = _met(child.path, child.is_symlink())
            yield met
            if met.status is not None and stat.S_ISDIR(met.status.st_mode):
                identity = (met.status.st_dev, met.status.st_ino)
                if identity not in seen:
                    seen.add(identity)
                    inner.append(child.path)
        pending += reversed(inner)


def meet(path: str) -> Met:
    """One path, wherever it leads."""
    return _met(path, os.path.islink(path))


def _is_of_interest(child: os.DirEntry[str]) -> bool:
    if child.name.startswith("."):
        return False
    if child.name.endswith(ENDINGS) or child.is_symlink():
        return True
    return child.is_dir(follow_symlinks=False)


def _met(path: str, link: bool) -> Met:
    try:
        return Met(path, os.stat(path), link)
    except OSError as error:
        return Met(path, None, link, error.errno or 0)
    except ValueError:  # a NUL in it
        return Met(path, None, link)
