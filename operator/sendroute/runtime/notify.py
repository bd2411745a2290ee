"""Reports to systemd that a service is ready (sd_notify(3))."""

import os
import socket
from contextlib import suppress


def notify_ready() -> None:
    """Report that the service is ready. Without systemd it does nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):  # an abstract socket (unix(7))
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(address)
        sender.sendall(b"READY=1")
