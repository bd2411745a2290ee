"""Waiting for a lock of flock(2). The kernel releases the locks of a process that dies.

A process that is killed while it starts another program leaves a child that holds its locks until
it has become that program: an instant, or longer on a busy machine. So even a lock that only one
process ever takes is waited for.
"""

import errno
import fcntl
import time

_PAUSE = 0.02
_HELD_ELSEWHERE = (errno.EWOULDBLOCK, errno.EACCES, errno.EINTR)


def lock(descriptor: int, until: float) -> None:
    """Lock an open file or directory.

    Args:
        descriptor: of the file or directory. Closing it releases the lock.
        until: how long to wait for another process, as :func:`time.monotonic` says it.

    Raises:
        BlockingIOError: another process held it for too long.
        OSError: the file system has no such locks.
    """
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _HELD_ELSEWHERE:
                raise
            if time.monotonic() > until:
                raise BlockingIOError(error.errno, error.strerror) from error
        time.sleep(_PAUSE)
