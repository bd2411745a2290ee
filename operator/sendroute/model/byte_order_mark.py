"""The one rule for the byte-order mark that some editors write at the beginning of a file: it is no
part of the content of any file that people give. It is an error only where others would take it for
content: in a secret, which is sent to a server, and in a ``caFile``, which Postfix reads itself."""

BYTE_ORDER_MARK = "\ufeff"
_BYTES = BYTE_ORDER_MARK.encode()


def without_mark(content: bytes) -> bytes:
    """Return the content of a file without the byte-order mark that it may begin with."""
    return content.removeprefix(_BYTES)


def has_mark(content: bytes) -> bool:
    """Return whether a file begins with a byte-order mark (U+FEFF in UTF-8: EF BB BF).

    Args:
        content: the file, or its first three bytes.
    """
    return content.startswith(_BYTES)
