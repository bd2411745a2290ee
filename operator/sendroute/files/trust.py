"""Whether another user could replace what is at a path, by now or at any later time.

Root is trusted, and so are the groups of this process: the kubelet gives the group of a pod the
right to write its volumes (fsGroup).
"""

import errno
import os
import stat

_MAX_LINKS = 40  # as Linux (path_resolution(7))


def distrust_of(path: str | os.PathLike[str]) -> str | None:
    """Why what is at a path is not to be trusted: another user owns it, or a directory or link on
    the way to it, or may write to such a directory. In a directory with the sticky bit only the
    owner of an entry may replace it (inode(7)).

    Args:
        path: an existing path, also a relative one.

    Returns:
        The reason, without a full stop; None if only this user and root decide what is there.

    Raises:
        OSError: a part of the path cannot be examined.
    """
    here, pending, links = "/", _names(os.path.join(os.getcwd(), path)), 0
    while True:
        status = os.lstat(here)
        shown = ascii(here)[1:-1]
        if not is_of_trusted_user(status):
            return f"{shown} belongs to another user"
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > _MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), here)
            target = os.readlink(here)
            pending += _names(target)
            here = "/" if target.startswith("/") else os.path.dirname(here)
            continue
        if not pending:
            return None
        if others_may(stat.S_IWOTH, status) and not status.st_mode & stat.S_ISVTX:
            return f"other users may write to {shown}"
        name = pending.pop()
        here = os.path.dirname(here) if name == ".." else os.path.join(here, name)


def is_of_trusted_user(status: os.stat_result) -> bool:
    """Whether a file belongs to the user of this process, or to root.

    Args:
        status: that of the file.
    """
    return status.st_uid in (os.geteuid(), 0)


def is_own_alone(status: os.stat_result) -> bool:
    """Whether a file is a regular one of this user or root, that only its owner may write, and
    under one name only. A process that opened it earlier could still write it, unless the directory
    was always closed to others.

    Args:
        status: that of the file, and not of what a link leads to.
    """
    is_plain = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
    return is_plain and is_of_trusted_user(status) and not status.st_mode & 0o022


def others_may(rights: int, status: os.stat_result) -> bool:
    """Whether others than the owner, root and the groups of this process have a right.

    Args:
        rights: one or more of ``S_IROTH``, ``S_IWOTH`` and ``S_IXOTH`` (inode(7)).
        status: that of the file or directory.
    """
    own_groups = (0, os.getegid(), *os.getgroups())
    group = 0 if status.st_gid in own_groups else status.st_mode >> 3
    return bool((group | status.st_mode) & rights)


def _names(path: str) -> list[str]:
    """The names in a path, the last one first."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]
