"""How a process ends that has a great deal in its hands: at once.

To free millions of values one by one takes up to a tenth of a large plan, and the system takes
back all memory of a process that ends anyway.
"""

import gc
import os
import sys
from contextlib import suppress
from typing import NoReturn

_kept: list[object] | None = None  # by a process of its own alone: others go on after a command


def begin() -> None:
    """The process is there for one command, and ends by :func:`leave`."""
    global _kept
    _kept = []


def keep(*values: object) -> None:
    """Frees nothing of these before the process ends. To be called as a command's last act, with
    nothing left open."""
    if _kept is not None:
        _kept.extend(values)
        gc.freeze()  # nor looks through them


def leave(status: int) -> NoReturn:
    """What Python does besides as it ends (threads are waited for, ``atexit`` is heard) is left
    out where something was kept. Standard output was flushed before."""
    if _kept:
        with suppress(OSError, ValueError, AttributeError):  # closed by now, or from the start
            sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
