"""Decode what the API answers, however deeply a part of it is nested.

The API server stores what a tenant nests a thousand levels deep in the ``managedFields`` of an
object, and a decoder fails on such a part even if it only skips it. One object must not hide the
others of its page.
"""

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import Raw

_DEEPEST = 64
"""Levels; no field that the operator reads is half as deep."""
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)

T = TypeVar("T")


def decoder(kind: type[T]) -> Callable[[bytes | Raw], T]:
    """Return a function that decodes JSON.

    Args:
        kind: the type of the value.

    Returns:
        The function. It raises only ``msgspec.DecodeError`` for damaged data, and
        ``msgspec.ValidationError`` for data of another type.
    """
    decode = msgspec.json.Decoder(kind).decode

    def decode_any_depth(data: bytes | Raw) -> T:
        try:
            return decode(data)
        except RecursionError:
            return decode(shallow(bytes(data)))

    return decode_any_depth


def shallow(data: bytes) -> bytes:
    """Return a JSON text with null in place of every list and object that is nested too deeply."""
    kept: list[bytes] = []
    depth = end = start = 0
    for token in _TOKEN.finditer(data):
        match token.group():
            case b"{" | b"[":
                depth += 1
                if depth == _DEEPEST + 1:
                    start = token.start()
            case b"}" | b"]":
                if depth == _DEEPEST + 1:
                    kept += data[end:start], b"null"
                    end = token.end()
                depth -= 1
    return b"".join((*kept, data[end:]))
