"""Opens or reads a file that the user gives. Anything else, such as a FIFO or a device, may have no
end, or may never be written."""

import errno
import os
import stat


def regular(path: str, flags: int) -> int:
    """Open a regular file; for the ``opener`` of :func:`open`.

    Args:
        path: the path of the file.
        flags: those of :func:`os.open`.

    Returns:
        The descriptor.

    Raises:
        OSError: it is no regular file, or cannot be opened.
    """
    # open(2): a FIFO without a writer is opened at once only if O_NONBLOCK is set.
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    raise OSError(errno.EINVAL, "it is not a regular file", path)


def read_regular(path: str, most: int) -> bytes:
    """Read a regular file.

    Args:
        path: the path of the file.
        most: how many bytes it may have.

    Returns:
        Its content.

    Raises:
        OSError: it is no regular file, or cannot be read.
        ValueError: it is longer.
    """
    with open(path, "rb", opener=regular) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError("it is too large")
    return content


def head_of(path: str, size: int) -> bytes:
    """Read the first bytes of a regular file.

    Args:
        path: the path of the file.
        size: how many bytes, at most.

    Returns:
        These bytes; none if it is no regular file, or cannot be read.
    """
    try:
        with open(path, "rb", opener=regular) as file:
            return file.read(size)
    except (OSError, ValueError):  # ValueError: the path has a null byte
        return b""
