"""What a process that runs for long reports of itself: to its HTTP server, and to systemd."""

import os
import socket
from contextlib import suppress
from typing import Protocol


class HealthReporter(Protocol):
    """What the HTTP server answers at ``/healthz`` and ``/readyz``."""

    def beat(self) -> None:
        """Report that the process is alive."""
        ...

    def ready(self, reason: str) -> None:
        """Report readiness.

        Args:
            reason: a sentence that is visible to everyone who can connect.
        """
        ...

    def not_ready(self, reason: str) -> None:
        """Report that the process is not ready.

        Args:
            reason: a sentence as for :meth:`ready`.
        """
        ...


def notify_ready() -> None:
    """Report to systemd that the service is ready (sd_notify(3)). Elsewhere it does nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):  # an abstract socket (unix(7))
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(address)
        sender.sendall(b"READY=1")
