"""Secrets as files: ``DIR/NAMESPACE/NAME/KEY``, as mounted Secrets, agents and sops leave them.

A mounted Secret is replaced by turning one link, ``..data``, so all keys of one secret are read
on one side of that turn. Links are followed as long as they stay in the namespace's folder: no
tenant's secret leads to another's, nor to a file of the system.
"""

import errno
import os
import stat
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

from sendroute.credentials.content import LARGEST_FILE, MissingError, UnfitError
from sendroute.model.secret import SecretRef

T = TypeVar("T")
_TURNS = 5


def has(directory: str, ref: SecretRef) -> bool:
    """Whether there is anything under the secret's name."""
    return os.path.lexists(Path(directory, ref.namespace, ref.name))


def in_one_piece(directory: str, ref: SecretRef, read: Callable[[], T]) -> T:
    """What ``read`` returns, read again where the secret was replaced meanwhile."""
    link = Path(directory, ref.namespace, ref.name, "..data")
    for _ in range(_TURNS):
        before = _target(link)
        value = read()
        if _target(link) == before:
            return value
    raise UnfitError("is being replaced all the time")


def _target(link: Path) -> Path | None:
    try:
        return link.readlink()
    except OSError:
        return None


def keys_of(directory: str, ref: SecretRef) -> Collection[str]:
    """The names of its keys; raises :class:`UnfitError` where it is no folder that can be read."""
    try:
        return frozenset(entry.name for entry in Path(directory, ref.namespace, ref.name).iterdir())
    except OSError as error:
        raise _unfit(error, "folder") from error


def content_of(directory: str, ref: SecretRef, key: str) -> bytes:
    """One key's bytes, one more than is accepted at most; raises :class:`UnfitError`."""
    home = os.path.realpath(Path(directory, ref.namespace))
    try:
        path = os.path.realpath(Path(home, ref.name, key), strict=True)
        if os.path.commonpath([home, path]) != home:
            raise UnfitError("is a link that leads out of its namespace's folder")
        # Not blocking: a FIFO would otherwise wait for a writer for ever.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(handle, "rb") as file:  # noqa: PTH123  a descriptor
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise UnfitError("is not a regular file")
            return file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise _unfit(error, "file") from error


def _unfit(error: OSError, what: str) -> UnfitError:
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR if what == "file":
            return MissingError("is missing")
        case errno.ENOENT | errno.ENOTDIR:
            return UnfitError("is not a folder")
        case errno.EACCES | errno.EPERM:
            return UnfitError("may not be read by this user")
        case errno.ELOOP:
            return UnfitError("is a link that leads in a circle")
        case _:
            told = (error.strerror or "input/output error").lower()
            return UnfitError(f"cannot be read ({told})")
