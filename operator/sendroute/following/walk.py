"""The files and directories that reading a path of manifests visits: every name that does not begin
with a dot; links are followed as reading follows them, and each directory is visited once."""

import os
import stat
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from sendroute.files.links import LinkRefusal, Region, TreeLinks
from sendroute.model.manifest_name import is_hidden, is_manifest


class PathStatus(NamedTuple):
    """A path and the status of what it leads to; ``status`` is None if that is unavailable, and
    ``errno`` says why. ``link`` is true if the path itself is a link."""

    path: str
    status: os.stat_result | None
    link: bool = False
    errno: int = 0


def walk(top: str) -> Iterator[PathStatus]:
    """Visit a file, or a directory and everything in it, in the order of names.

    Args:
        top: the path to begin with; it comes first.

    Yields:
        The status of every path. A directory that cannot be listed comes twice: with its status,
        and without.
    """
    first = status_of(top)
    yield first
    if first.status is None or not stat.S_ISDIR(first.status.st_mode):
        return
    links = TreeLinks([top])
    seen = {(first.status.st_dev, first.status.st_ino)}
    pending: list[tuple[str, Region | None]] = [(top, None)]
    while pending:
        directory, region = pending.pop()
        most = None if region is None else links.names_left + 1  # one too many
        try:
            with os.scandir(directory) as listing:
                children = sorted(islice(listing, most), key=lambda child: child.name)
        except OSError as error:
            yield PathStatus(directory, None, errno=error.errno or 0)
            continue
        if region is not None and links.count(len(children)) is not None:
            yield PathStatus(directory, None)
            continue
        inner: list[tuple[str, Region | None]] = []
        for child in children:
            if not _is_relevant(child):
                continue
            path = status_of(child.path)
            yield path
            if path.status is not None and stat.S_ISDIR(path.status.st_mode):
                target = _region(links, path, region)
                identity = (path.status.st_dev, path.status.st_ino)
                if not isinstance(target, LinkRefusal) and identity not in seen:
                    seen.add(identity)
                    inner.append((child.path, target))
        pending += reversed(inner)


def _region(
    links: TreeLinks, path: PathStatus, region: Region | None
) -> Region | LinkRefusal | None:
    if not path.link:
        return region
    try:
        return links.follow(path.path, region)
    except OSError:  # the link was changed a moment ago
        return LinkRefusal.ABOVE


def status_of(path: str) -> PathStatus:
    """Get the status of one path; links are followed."""
    return _status(path, os.path.islink(path))


def _is_relevant(child: os.DirEntry[str]) -> bool:
    if is_hidden(child.name):
        return False
    if is_manifest(child.name):
        return True
    try:
        return child.is_symlink() or child.is_dir(follow_symlinks=False)
    except OSError:  # a listing without types: each one is a question
        return True


def _status(path: str, link: bool) -> PathStatus:
    try:
        return PathStatus(path, os.stat(path), link)
    except OSError as error:
        return PathStatus(path, None, link, error.errno or 0)
    except ValueError:  # the path contains a NUL
        return PathStatus(path, None, link)
