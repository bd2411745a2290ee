"""One control plane that all workers of a test run share: it takes 400 MB and seconds to start.

The first worker that needs it starts this module as a process of its own, which serves until the
last worker has ended, also if that is killed: each worker holds the writing end of a FIFO, and the
reader sees its end (fifo(7)).
"""

import fcntl
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .control_plane import ControlPlane, PrivateControlPlane
from .programs import home

ROOT = Path(__file__).parents[2]
_TIMEOUT = 180.0
# Not a child of this process, which may end before it does.
_IN_BACKGROUND = '{ "$@"; : >"$0/ended"; } &'


@contextmanager
def shared(directory: Path) -> Iterator[ControlPlane]:
    """The control plane of a directory; started if no other process has done so."""
    directory.mkdir(exist_ok=True)
    with _lock(directory):
        writer = _join(directory)
        if writer is None:
            writer = _serve(directory)
    try:
        yield ControlPlane(directory / "state", home())
    finally:
        os.close(writer)


def _join(directory: Path) -> int | None:
    """The writing end of the FIFO; None if nobody reads, so that nothing serves."""
    with suppress(OSError):
        return os.open(directory / "fifo", os.O_WRONLY | os.O_NONBLOCK)
    return None


def _serve(directory: Path) -> int:
    """Start the process, and return the writing end of its FIFO when it serves."""
    fifo = directory / "fifo"
    shutil.rmtree(directory / "state", ignore_errors=True)
    (directory / "ended").unlink(missing_ok=True)
    fifo.unlink(missing_ok=True)
    os.mkfifo(fifo)
    both_ends = os.open(fifo, os.O_RDWR)  # a reader must not see the end before anybody has come
    try:
        command = (sys.executable, "-m", "tests.control_plane.shared", directory)
        with (directory / "log").open("wb") as log:
            subprocess.run(
                ("sh", "-c", _IN_BACKGROUND, directory, *command),
                check=True,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _TIMEOUT
        while not (directory / "state/serving").exists():
            if (directory / "ended").exists() or time.monotonic() > deadline:
                raise RuntimeError((directory / "log").read_text(errors="replace"))
            time.sleep(0.02)
        return os.open(fifo, os.O_WRONLY)
    finally:
        os.close(both_ends)


@contextmanager
def _lock(directory: Path) -> Iterator[None]:
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(directory: Path) -> None:
    """Serve until nobody holds the FIFO open for writing."""
    reader = os.open(directory / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    with PrivateControlPlane(directory / "state") as control_plane:
        (control_plane.directory / "serving").touch()
        while True:
            _all_have_gone(reader, timeout=None)
            with _lock(directory):
                if _all_have_gone(reader, timeout=0):  # and nobody has come meanwhile
                    control_plane.stop()
                    os.close(reader)
                    return


def _all_have_gone(reader: int, timeout: float | None) -> bool:
    poll = select.poll()
    poll.register(reader, 0)
    return bool(poll.poll(timeout))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
