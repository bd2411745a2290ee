"""The destinations that a secret may be sent to: its key ``allowed-hosts``.

The owner of the secret writes it; the author of a profile may be another person. Without it, every
author of a manifest could have the password sent to any host.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from sendroute.credentials.content import InvalidSecretError
from sendroute.model.byte_order_mark import BYTE_ORDER_MARK
from sendroute.model.numerals import decimal

_COMMENT = re.compile(r"(^|\s)#.*")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


class AllowedDestination(NamedTuple):
    """``port`` is None if every port is allowed."""

    host: str
    port: int | None


def allows(text: str, host: str, port: int) -> bool:
    """Check whether a list allows a destination. An empty list allows none.

    Args:
        text: the content of ``allowed-hosts``.
        host: the host of the profile.
        port: its port.

    Returns:
        Whether the destination is allowed.

    Raises:
        InvalidSecretError: an entry is not a destination. A partly valid list protects nothing.
    """
    normalised_host = normalised(host)
    listed = list(_entries(text))
    return any(entry.host == normalised_host and entry.port in (None, port) for entry in listed)


def _entries(text: str) -> Iterator[AllowedDestination]:
    """Entries are separated by commas and line breaks; a comment extends to the end of its line."""
    for number, line in enumerate(text.removeprefix(BYTE_ORDER_MARK).split("\n"), start=1):
        for part in _COMMENT.sub("", line).split(","):
            if entry := part.strip():
                yield _entry(entry, number)


def _entry(text: str, number: int) -> AllowedDestination:
    host, colon, port = text.partition(":")
    only = decimal(port, 65535) if colon else None
    if colon and not only:
        raise InvalidSecretError(f"has no port at the end of line {number}")
    try:
        return AllowedDestination(normalised(host), only)
    except ValueError:
        raise InvalidSecretError(f"has no host name in line {number}") from None


def normalised(host: str) -> str:
    """The lower-case A-label without a final dot (RFC 5890). Raises ValueError for an invalid
    name."""
    host = host.strip().removesuffix(".")
    if not host.isascii():
        import idna

        host = idna.encode(host, uts46=True, transitional=False).decode("ascii")
    host = host.lower()
    if not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise ValueError("not a host name")
    return host
