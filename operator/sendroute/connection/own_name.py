"""The fully qualified name of this machine, for EHLO."""

import re
import socket
import threading

LOOKUP_TIMEOUT = 2.0
"""Seconds for the lookup of the machine's name: it may ask a name server that does not answer."""

_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
# Names that are the same on every machine (RFC 6761, section 6.3; hosts files of distributions).
_OF_NO_MACHINE = ("localhost", "localdomain", "localhost4", "localhost6")


def own_name() -> str | None:
    """The machine's name, as ``hostname -f`` shows it.

    Returns:
        The name in lower case; None if it is not fully qualified or says nothing, such as a
        container's id or ``localhost.localdomain``.
    """
    name = socket.gethostname()
    return _qualified(name) or _qualified(_canonical(name))


def _canonical(name: str) -> str:
    """The name to which the system resolves its own name. The lookup cannot be interrupted, so it
    is left behind in a thread if it takes too long."""
    names: list[str] = []

    def look_up() -> None:
        try:
            (first, *_) = socket.getaddrinfo(name, None, flags=socket.AI_CANONNAME)
        except (OSError, UnicodeError):
            return
        names.append(first[3])

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(LOOKUP_TIMEOUT)
    return names[0] if names else ""


def _qualified(name: str) -> str | None:
    labels = name.removesuffix(".").lower().split(".")
    if len(labels) < 2 or labels[-1] in _OF_NO_MACHINE or labels[-1].isdecimal():
        return None
    return ".".join(labels) if all(map(_LABEL.fullmatch, labels)) else None
