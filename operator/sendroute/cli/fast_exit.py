"""Saves time in commands that load a whole tree: no garbage collection, and no cleanup at exit.

Freeing millions of values takes up to a tenth of the time of a large plan, and the system frees all
memory of a process that ends anyway.
"""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

_retained: list[object] | None = None  # None unless the process ends after this command


def enable() -> None:
    """Declare that this process runs one command and ends by :func:`exit_process`."""
    global _retained
    _retained = []


@contextmanager
def collector_off() -> Iterator[None]:
    """Turn the garbage collector off during a command that loads a tree and ends.

    Such a command creates up to millions of values and no cycles; the collector would take up to
    a third of its time. Only `validate`, `plan` and `apply` use this: a process that runs for
    months, a library's caller and every other command keep the collector.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def retain(*values: object) -> None:
    """Do not free these values before the process ends. A command calls it last, when it has
    nothing open."""
    if _retained is not None:
        _retained.extend(values)
        gc.freeze()  # the collector never examines them


def exit_process(status: int) -> NoReturn:
    """End the process. If values are kept, Python's cleanup is skipped (waiting for threads,
    ``atexit``). Standard output was flushed before."""
    if _retained:
        with suppress(OSError, ValueError, AttributeError):  # closed, now or from the start
            sys.stderr.flush()
        os._exit(status)
    # An interrupt that left code of exec(), as modules use while they are imported, makes
    # `python -m` die of SIGINT at the end, although it was handled. This forgets it.
    exec("")  # noqa: S102
    sys.exit(status)
