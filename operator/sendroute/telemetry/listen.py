"""``HOST:PORT`` → a listening socket."""

import errno
import re
import socket

from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError

_FORM = re.compile(r"(?:\[(?P<six>[^\[\]]+)\]|(?P<host>[^\[\]:\s]*)):(?P<port>[0-9]{1,5})")
_FORMS = "127.0.0.1:9464, [::1]:9464 or :9464"
_REASONS = {
    errno.EADDRINUSE: (
        "another process uses it",
        "Stop that process or choose another address; port 0 selects a free port.",
    ),
    errno.EADDRNOTAVAIL: (
        "no network interface has this address",
        "Use 127.0.0.1, [::1], an address of the machine, or no host for all interfaces.",
    ),
    errno.EACCES: (
        "the user that runs sendroute may not use the port",
        "Use port 1024 or higher.",
    ),
}


def host_and_port(address: str) -> tuple[str, int] | None:
    """Split an address.

    Args:
        address: ``HOST:PORT``; an IPv6 address is in brackets (RFC 3986, section 3.2.2).

    Returns:
        The host, without brackets, and the port; None if the address has another form.
    """
    match = _FORM.fullmatch(address)
    if match is None or int(match["port"]) > 65535:
        return None
    return match["six"] or match["host"], int(match["port"])


def listening(address: str) -> socket.socket:
    """Listen on an address.

    Args:
        address: ``127.0.0.1:9464``, ``[::1]:9464`` or a host name of this machine; ``:9464`` is all
            interfaces, and port 0 a free port.

    Raises:
        ProblemError: the address is invalid (``invalid-value``) or in use (``address-in-use``).
    """
    parts = host_and_port(address)
    if parts is None:
        raise _invalid_address(address, "is not HOST:PORT", f"Write it as {_FORMS}.")
    host, port = parts
    try:
        if not host:
            return _everywhere(port)
        family, _, _, _, socket_address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(socket_address, family=family)
    except (socket.gaierror, UnicodeError) as error:
        raise _invalid_address(
            address, "has an unknown host", "Use an address of the machine."
        ) from error
    except OSError as error:
        reason, hint = _REASONS.get(
            error.errno or 0, ("the operating system refuses it", "Use another address.")
        )
        message = f"Cannot listen on {ascii(address)[1:-1]}: {reason}."
        raise ProblemError(finding("address-in-use", message, hint=hint)) from error


def local_address(listener: socket.socket) -> str:
    """The address for connections from this machine."""
    host, port = listener.getsockname()[:2]
    if host == "::" and listener.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
        host = "::1"
    elif host in ("0.0.0.0", "::"):  # noqa: S104  (all interfaces, as requested)
        host = "127.0.0.1"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _everywhere(port: int) -> socket.socket:
    """IPv6 and IPv4, or only IPv4 if the system has no IPv6."""
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
    return socket.create_server(("", port))


def _invalid_address(address: str, fault: str, hint: str) -> ProblemError:
    message = f"The address {ascii(address)[1:-1]} {fault}."
    return ProblemError(finding("invalid-value", message, hint=hint))
