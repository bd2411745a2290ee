"""From bytes to text that can be a username or a password, or a sentence on why not.

What is wrong is said of the whole value alone: not even its length or a place in it is told.
"""

import unicodedata

from sendroute.model.credential import Credential

LARGEST_FILE = 64 * 1024
"""Bytes of a key's file, or of a variable."""

# What AUTH PLAIN sends is one line of at most so many octets (RFC 4954, section 4), in base64.
_LONGEST_LINE = 12_288


class UnfitError(Exception):
    """What is wrong, as the end of a sentence that begins with the key's name: ``is empty``."""


class MissingError(UnfitError):
    """The key is not there."""


def text_of(content: bytes) -> str:
    """One trailing newline, which editors and ``echo`` add, is not part of a value."""
    if len(content) > LARGEST_FILE:
        raise UnfitError(f"is larger than {LARGEST_FILE // 1024} KiB")
    content = content.removesuffix(b"\n").removesuffix(b"\r")
    text = _decoded(content)
    if text is None:
        raise UnfitError("is not UTF-8 text")
    if not text:
        raise UnfitError("is empty")
    return text


def _decoded(content: bytes) -> str | None:
    """None and no error: that of a codec holds the value, even as another one's context."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def username_of(content: bytes) -> str:
    text = _without_controls(text_of(content))
    if ":" in text:
        # Postfix's password table holds USER:PASSWORD and splits at the first one
        # (http://www.postfix.org/SASL_README.html#client_sasl_enable).
        raise UnfitError("holds a colon, at which mail servers end a username")
    return text


def password_of(content: bytes) -> str:
    return _without_controls(text_of(content))


def _without_controls(text: str) -> str:
    if any(unicodedata.category(letter) == "Cc" for letter in text):
        raise UnfitError("holds a control character, such as a line break, a tab or a NUL")
    return text


def together(username: str, password: str) -> Credential:
    """Raises :class:`UnfitError`, whose sentence then begins with both keys."""
    plain = len(username.encode()) + len(password.encode()) + 2
    if -(-plain // 3) * 4 > _LONGEST_LINE:
        raise UnfitError("are longer than a mail server accepts (RFC 4954, section 4)")
    return Credential(username, password)
