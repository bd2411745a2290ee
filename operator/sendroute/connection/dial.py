"""The TCP connection to one of the checked addresses; no name is resolved here."""

import asyncio
import errno
import socket

from sendroute.connection.addresses import Address
from sendroute.connection.failure import ConnectionTestError
from sendroute.model.connection import ConnectionOutcome

MAX_ADDRESSES = 6
"""Addresses that are tried in turn; Postfix tries five (smtp_mx_address_limit)."""


async def dial(
    addresses: tuple[Address, ...], port: int, until: float
) -> tuple[socket.socket, Address]:
    """Connect to the first address that accepts.

    Args:
        addresses: in the order to try.
        port: the TCP port.
        until: the deadline as loop time. Each address gets an equal share of the remaining time, so
            that a silent one leaves time for the next.

    Returns:
        A connected, non-blocking socket, and the address.

    Raises:
        ConnectionTestError: no address accepts (``connect-failed``).
    """
    loop = asyncio.get_running_loop()
    tried = addresses[:MAX_ADDRESSES]
    reasons: list[str] = []
    for index, address in enumerate(tried):
        share = (until - loop.time()) / (len(tried) - index)
        try:
            async with asyncio.timeout(share):
                return await _connect(address, port), address
        except TimeoutError:  # the share passed, or ETIMEDOUT of the system
            reasons.append("did not answer")
        except OSError as error:
            reasons.append(_reason(error))
    reason = " or ".join(dict.fromkeys(reasons))
    count = f" ({len(tried)} addresses tried)" if len(tried) > 1 else ""
    raise ConnectionTestError(
        ConnectionOutcome.CONNECT_FAILED, f"The host {reason} on port {port}{count}."
    )


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
