"""A secret's own list of the destinations it may be sent to: its key ``allowed-hosts``.

The secret's owner writes it, who may be another person than the author of a profile: without it,
whoever may write a manifest could have the password sent to a host of theirs.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from sendroute.credentials.content import UnfitError

_COMMENT = re.compile(r"(^|\s)#.*")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


class Allowed(NamedTuple):
    """``port`` is None where any port will do."""

    host: str
    port: int | None


def allows(text: str, host: str, port: int) -> bool:
    """Whether the list holds this destination; a list without a line holds none.

    Raises :class:`UnfitError` where a line is no destination: a list that is half understood
    protects nobody.
    """
    desired = normalised(host)
    listed = list(_entries(text))
    return any(entry.host == desired and entry.port in (None, port) for entry in listed)


def _entries(text: str) -> Iterator[Allowed]:
    """A comment goes to the end of its line, commas in it included."""
    for number, line in enumerate(text.split("\n"), start=1):
        for part in _COMMENT.sub("", line).split(","):
            if entry := part.strip():
                yield _entry(entry, number)


def _entry(text: str, number: int) -> Allowed:
    host, colon, port = text.partition(":")
    if colon and not (port.isascii() and port.isdecimal() and 1 <= int(port) <= 65535):
        raise UnfitError(f"has no port at the end of line {number}")
    try:
        return Allowed(normalised(host), int(port) if colon else None)
    except ValueError:
        raise UnfitError(f"has no host name in line {number}") from None


def normalised(host: str) -> str:
    """The lower-case A-label, without the root's dot. Raises ValueError for what is no name."""
    host = host.strip().removesuffix(".")
    if not host.isascii():
        import idna

        host = idna.encode(host, uts46=True, transitional=False).decode("ascii")
    host = host.lower()
    if not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise ValueError("not a host name")
    return host
