"""TCP to one of the addresses that were checked; no name is looked up here."""

import asyncio
import errno
import socket

from sendroute.connection.addresses import Address
from sendroute.connection.failure import FailureError
from sendroute.model.connection import ConnectionOutcome

TRIED_AT_MOST = 6
"""Addresses tried one after the other; Postfix tries five (smtp_mx_address_limit)."""


async def dial(
    addresses: tuple[Address, ...], port: int, until: float
) -> tuple[socket.socket, Address]:
    """A connected, non-blocking socket and its peer.

    ``until`` is the loop time of the test's deadline; each address gets its even share of what is
    left, so that one that is silent leaves time for the next.
    Raises FailureError (``connect-failed``).
    """
    loop = asyncio.get_running_loop()
    tried = addresses[:TRIED_AT_MOST]
    reasons: list[str] = []
    for place, address in enumerate(tried):
        share = (until - loop.time()) / (len(tried) - place)
        try:
            async with asyncio.timeout(share):
                return await _connect(address, port), address
        except TimeoutError:  # the share passed, or the system's own ETIMEDOUT
            reasons.append("did not answer")
        except OSError as error:
            reasons.append(_reason(error))
    what = " or ".join(dict.fromkeys(reasons))
    each = f" ({len(tried)} addresses tried)" if len(tried) > 1 else ""
    raise FailureError(ConnectionOutcome.CONNECT_FAILED, f"The host {what} at port {port}{each}.")


async def _connect(address: Address, port: int) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    connecting = socket.socket(family, socket.SOCK_STREAM)
    try:
        connecting.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connecting, (str(address), port))
    except BaseException:  # cancelled too: the descriptor is nobody else's yet
        connecting.close()
        raise
    return connecting


def _reason(error: OSError) -> str:
    match error.errno:
        case errno.ECONNREFUSED:
            return "refused the connection"
        case errno.ENETUNREACH | errno.EHOSTUNREACH | errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT:
            return "could not be reached (no route)"
        case errno.ECONNRESET | errno.ECONNABORTED:
            return "broke the connection off"
        case errno.EACCES | errno.EPERM:
            return "may not be reached (this machine's firewall)"
        case _:
            return f"could not be reached (system error {error.errno})"
