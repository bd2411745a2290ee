"""The TCP connection to one of the checked addresses; no name is resolved here."""

import asyncio
import errno
import socket

from sendroute.connection.addresses import Address


class DialError(Exception):
    """The address was not reached. The text completes a sentence that begins with "The host"."""


async def dial(address: Address, port: int, seconds: float) -> socket.socket:
    """Connect to an address.

    Args:
        address: the address.
        port: the TCP port.
        seconds: how long to wait for it.

    Returns:
        A connected, non-blocking socket.

    Raises:
        DialError: the address refuses, is unreachable, or does not answer.
    """
    try:
        async with asyncio.timeout(seconds):
            return await _connect(address, port)
    except TimeoutError:  # the seconds passed, or ETIMEDOUT of the system
        raise DialError("did not answer") from None
    except OSError as error:
        raise DialError(_reason(error)) from None


async def _connect(address: Address, port: int) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    connecting = socket.socket(family, socket.SOCK_STREAM)
    try:
        connecting.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connecting, (str(address), port))
    except BaseException:  # also if cancelled: nothing else would close it
        connecting.close()
        raise
    return connecting


def _reason(error: OSError) -> str:
    match error.errno:
        case errno.ECONNREFUSED:
            return "refused the connection"
        case errno.ENETUNREACH | errno.EHOSTUNREACH | errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT:
            return "is unreachable (no route)"
        case errno.ECONNRESET | errno.ECONNABORTED:
            return "closed the connection"
        case errno.EACCES | errno.EPERM:
            return "is blocked by the local firewall"
        case _:
            return f"is unreachable (system error {error.errno})"
