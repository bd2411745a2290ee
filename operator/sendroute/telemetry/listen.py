"""``HOST:PORT`` → a socket that listens."""

import errno
import re
import socket

from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError

_FORM = re.compile(r"(?:\[(?P<six>[^\[\]]+)\]|(?P<host>[^\[\]:]*)):(?P<port>[0-9]{1,5})")
FORMS = "127.0.0.1:9464, [::1]:9464 or :9464"
_REASONS = {
    errno.EADDRINUSE: (
        "another process listens there",
        "Stop it, or name another address; port 0 takes any that is free.",
    ),
    errno.EADDRNOTAVAIL: (
        "no interface of this machine has that address",
        "Name 127.0.0.1, [::1], an address of this machine, or none for all of them.",
    ),
    errno.EACCES: (
        "that port is not for this user",
        "Name a port from 1024 on.",
    ),
}


def host_and_port(address: str) -> tuple[str, int] | None:
    """None where it is not written as an address at all."""
    found = _FORM.fullmatch(address)
    if found is None or int(found["port"]) > 65535:
        return None
    return found["six"] or found["host"], int(found["port"])


def listening(address: str) -> socket.socket:
    """``127.0.0.1:9464``, ``[::1]:9464``, a host name of this machine; ``:9464`` is all of its
    interfaces, and port 0 any that is free. Raises ``ProblemError``."""
    found = host_and_port(address)
    if found is None:
        raise _bad(address, "is not HOST:PORT", f"Write it as {FORMS}.")
    host, port = found
    try:
        if not host:
            return _everywhere(port)
        family, _, _, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(place, family=family)
    except (socket.gaierror, UnicodeError) as error:
        raise _bad(
            address, "names no host that is found", "Name an address of this machine."
        ) from error
    except OSError as error:
        reason, hint = _REASONS.get(
            error.errno or 0, ("the system does not let it", "Name another address.")
        )
        message = f"The address {ascii(address)[1:-1]} cannot be listened on: {reason}."
        raise ProblemError(finding("address-in-use", message, hint=hint)) from error


def told(listener: socket.socket) -> str:
    """The address as one connects to it from this machine."""
    host, port = listener.getsockname()[:2]
    if host == "::" and listener.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
        host = "::1"
    elif host in ("0.0.0.0", "::"):  # noqa: S104  (what was asked for: all interfaces)
        host = "127.0.0.1"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _everywhere(port: int) -> socket.socket:
    """IPv6 and IPv4; only that where the system has IPv6 switched off."""
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
    return socket.create_server(("", port))


def _bad(address: str, what: str, hint: str) -> ProblemError:
    message = f"The address {ascii(address)[1:-1]} {what}."
    return ProblemError(finding("invalid-value", message, hint=hint))
