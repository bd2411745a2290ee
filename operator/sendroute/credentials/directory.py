"""Secrets as files: ``DIR/NAMESPACE/NAME/KEY``, as mounted Secrets, agents and sops write them.

Kubernetes replaces a mounted Secret by switching one link, ``..data``, so all keys of a secret are
read before or after the switch. Links are followed only within the namespace's directory: no
tenant's secret leads to another tenant's, or to a file of the system. A tenant may replace a
directory by a link at any moment, so what was checked is opened without following any link.
"""

import errno
import os
import stat
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

from sendroute.credentials.content import MAX_BYTES, InvalidSecretError, SecretNotFoundError
from sendroute.files.reason import reason_of
from sendroute.model.secret import PLATFORM_NAMESPACE, SecretRef

T = TypeVar("T")
_ATTEMPTS = 5
# With O_PATH the right to enter a directory is enough (open(2)); other systems also take the right
# to read it.
_STEP = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def has(directory: str, ref: SecretRef) -> bool:
    """Whether the secret exists."""
    return os.path.lexists(Path(directory, ref.namespace, ref.name))


def read_consistently(directory: str, ref: SecretRef, read: Callable[[], T]) -> T:
    """Call ``read``, again if the secret is replaced during the call.

    Raises:
        InvalidSecretError: it is replaced every time.
    """
    link = Path(directory, ref.namespace, ref.name, "..data")
    for _ in range(_ATTEMPTS):
        before = _target(link)
        value = read()
        if _target(link) == before:
            return value
    raise InvalidSecretError("is replaced continuously")


def _target(link: Path) -> Path | None:
    try:
        return link.readlink()
    except OSError:
        return None


def keys_of(directory: str, ref: SecretRef) -> Collection[str]:
    """The names of a secret's keys.

    Raises:
        InvalidSecretError: the secret is not a readable directory, or outside its namespace.
    """
    try:
        listed = _open_without_links(_inside(directory, ref))
        try:
            return frozenset(os.listdir(listed))  # noqa: PTH208 - not a path
        finally:
            os.close(listed)
    except OSError as error:
        raise _error_of(error, "directory") from error


def content_of(directory: str, ref: SecretRef, key: str) -> bytes:
    """Read a key, up to one byte more than the limit.

    Raises:
        InvalidSecretError: it is missing, unreadable, not a regular file, or outside its namespace.
    """
    try:
        with os.fdopen(_open_without_links(_inside(directory, ref, key)), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InvalidSecretError("is not a regular file", "Put a file there.")
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _error_of(error, "file") from error


def _inside(directory: str, ref: SecretRef, *key: str) -> str:
    """The real path of a secret, or of one of its keys. Raises OSError if there is none, and
    :class:`InvalidSecretError` if it is outside the directory of its namespace."""
    home = os.path.realpath(Path(directory, ref.namespace))
    if _is_shared(directory, ref, home):
        raise InvalidSecretError("is in a directory that the platform and a tenant share")
    path = os.path.realpath(Path(home, ref.name, *key), strict=True)
    if not _holds(home, path):
        raise InvalidSecretError(
            "is a link that leads out of its namespace's directory",
            "Put the file into the directory of its namespace.",
        )
    return path


def _open_without_links(path: str) -> int:
    """Open a real path step by step: O_NOFOLLOW alone is only for the last one. Raises
    :class:`InvalidSecretError` if a step is a link by now."""
    *directories, name = (step for step in path.split("/") if step)
    parent = os.open("/", _STEP)
    try:
        for step in directories:
            following = os.open(step, _STEP, dir_fd=parent)
            os.close(parent)
            parent = following
        # Non-blocking: opening a FIFO would wait for a writer forever.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(name, flags, dir_fd=parent)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise InvalidSecretError(
                "was replaced while it was read", "Read it again when it is no longer changed."
            ) from error
        raise
    finally:
        os.close(parent)


def _is_shared(directory: str, ref: SecretRef, home: str) -> bool:
    """Whether a link makes one directory the platform's and a tenant's. Links between the
    directories of two tenants are the operator's choice; a tenant never reads the platform's."""
    root = os.path.realpath(directory)
    if ref.of_platform:
        return home != str(Path(root, PLATFORM_NAMESPACE)) and _holds(root, home)
    platform = os.path.realpath(Path(directory, PLATFORM_NAMESPACE))
    return _holds(home, platform) or _holds(platform, home)


def _holds(parent: str, path: str) -> bool:
    return os.path.commonpath([parent, path]) == parent


def _error_of(error: OSError, kind: str) -> InvalidSecretError:
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR if kind == "file":
            return SecretNotFoundError("is missing")
        case errno.ENOENT | errno.ENOTDIR:
            return InvalidSecretError(
                "is not a directory", "Put a directory there with the files username and password."
            )
        case errno.EACCES | errno.EPERM:
            return InvalidSecretError(
                "is not readable for the user that runs sendroute",
                "Give that user the right to read the file, and to enter the directories above it.",
            )
        case errno.EISDIR:
            return InvalidSecretError("is a directory", "Put a file there.")
        case errno.ELOOP:
            return InvalidSecretError("is a circular link", "Correct the link.")
        case _:
            reason = reason_of(error)
            return InvalidSecretError(f"cannot be read ({reason})", "Fix the disk or its mount.")
