"""A server of the tests that ends with the process that started it, also if that is killed."""

import random
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Starts the server and a watcher that stops it with a signal when standard input is closed, so a
# killed pytest leaves no server behind. `stop` writes a line first, so that the watcher does
# nothing. The watcher is not a child of the server, because a server may wait for its children.
_WATCHED = """
how=$1
shift
exec 3<&0 </dev/null
( ( read -r _ <&3 || kill -s "$how" $$ ) >/dev/null 2>&1 & )
exec "$@" 3<&-
"""
_TIMEOUT = 60.0


class PrivateServer:
    """A process that runs from its start to :meth:`stop`, and no longer than this process.

    ``orphaned``: the signal that it gets when this process ends. ``more``: for Popen.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        *,
        orphaned: signal.Signals = signal.SIGKILL,
        **more: Any,
    ) -> None:
        signal_name = orphaned.name.removeprefix("SIG")
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ("sh", "-c", _WATCHED, "sh", signal_name, *command),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C must not reach the server
                **more,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def send_signal(self, signal_number: signal.Signals) -> None:
        self._process.send_signal(signal_number)

    def stop(self, signal_number: signal.Signals) -> None:
        """Send the signal and return when the server has ended."""
        self._process.send_signal(signal_number)
        try:
            self._process.wait(_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.communicate(b"stopped\n")


_held: list[socket.socket] = []


def free_port() -> int:
    """A port on which only servers listen that allow an address to be reused (SO_REUSEADDR).

    It is below the range of ephemeral ports (ip(7), ip_local_port_range), and it stays bound until
    this process ends, so that nobody else gets it: not before the server listens on it, and not
    while the server is restarted. Without a server it refuses connections.
    """
    for port in random.SystemRandom().sample(range(15_000, 30_000), 200):
        holder = socket.socket()
        try:
            holder.bind(("127.0.0.1", port))
        except OSError:
            holder.close()
            continue
        # Set after the bind: a port that another process holds in the same way is not free.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _held.append(holder)
        return port
    raise RuntimeError("No port is free.")
