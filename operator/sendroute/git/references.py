"""What a checkout's HEAD is, read without git, as every reader of a directory needs it
(gitrepository-layout(5))."""

import os
import re
from collections.abc import Iterator

from sendroute.files.regular import read_regular

_MAX_LINE = 1 << 14
"""Bytes of a file with one reference or one path."""
_MAX_PACKED = 1 << 29
_COMMIT = re.compile(rb"[0-9a-f]{40}|[0-9a-f]{64}")


def common_directory(git_directory: str) -> str:
    """Where the configuration and the branches are (gitrepository-layout(5), commondir)."""
    try:
        path = read_regular(os.path.join(git_directory, "commondir"), _MAX_LINE)
    except (OSError, ValueError):
        return git_directory
    return os.path.join(git_directory, os.fsdecode(path.strip()))


def head_commit(git_directory: str) -> str | None:
    """Find the commit that is checked out.

    Args:
        git_directory: the repository, or what a linked working tree has of it.

    Returns:
        The full hash; None if there is none, or only git can tell (reftable).
    """
    common = common_directory(git_directory)
    try:
        value = read_regular(os.path.join(git_directory, "HEAD"), _MAX_LINE).strip()
        if value.startswith(b"ref:"):
            value = _value_of(common, value.removeprefix(b"ref:").strip()).strip()
    except (OSError, ValueError):
        return None
    return value.decode() if _COMMIT.fullmatch(value) else None


def has_commits(git_directory: str) -> bool:
    """Whether anything was ever committed, or fetched. If HEAD leads to no commit all the same, its
    branch is damaged or lost, or a branch without parents begins.

    Args:
        git_directory: the repository, or what a linked working tree has of it.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    head = read_regular(os.path.join(git_directory, "HEAD"), _MAX_LINE).strip()
    common = common_directory(git_directory)
    if not head.startswith(b"ref:") or _has_text(os.path.join(git_directory, "logs", "HEAD")):
        return True
    if os.path.isdir(os.path.join(common, "reftable")):  # only git reads its branches
        return any(len(name) == 2 for name in os.listdir(os.path.join(common, "objects")))
    for _, _, names in os.walk(os.path.join(common, "refs")):
        if names:
            return True
    return any(_packed(common))


def _value_of(common: str, branch: bytes) -> bytes:
    path = os.path.join(os.fsencode(common), branch)
    if os.path.isfile(path):
        return read_regular(os.fsdecode(path), _MAX_LINE)
    return next((value for name, value in _packed(common) if name == branch), b"")


def _packed(common: str) -> Iterator[tuple[bytes, bytes]]:
    """The name and the commit of each branch and tag in the file packed-refs."""
    try:
        lines = read_regular(os.path.join(common, "packed-refs"), _MAX_PACKED).splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        value, _, name = line.partition(b" ")
        if _COMMIT.fullmatch(value):
            yield name, value


def _has_text(path: str) -> bool:
    try:
        return os.path.getsize(path) > 0
    except OSError:
        return False
