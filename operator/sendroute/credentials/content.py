"""From bytes to a valid username or password, or the reason why they are invalid.

A reason concerns the whole value: it reveals neither its length nor a position in it.
"""

import unicodedata

from sendroute.model.byte_order_mark import BYTE_ORDER_MARK
from sendroute.model.credential import Credential
from sendroute.model.secret_text import encryption_of, is_pem

MAX_BYTES = 64 * 1024
"""The size of a key's file or of a variable."""

# AUTH PLAIN sends one line of at most so many octets, in base64 (RFC 4954, section 4).
_MAX_LINE = 12_288


class InvalidSecretError(Exception):
    """Completes a sentence that begins with the name of the key: ``is empty``. ``hint`` is what to
    do, if it is not about the content."""

    def __init__(self, predicate: str, hint: str | None = None) -> None:
        super().__init__(predicate)
        self.hint = hint


class SecretNotFoundError(InvalidSecretError):
    """The key does not exist."""


_LFS_POINTER = "version https://git-lfs.github.com/"


def text_of(content: bytes) -> str:
    """Decode a value. One trailing newline, which editors and ``echo`` add, is not part of it.

    Raises:
        InvalidSecretError: it is empty, too large or not UTF-8.
    """
    if len(content) > MAX_BYTES:
        raise InvalidSecretError(f"is larger than {MAX_BYTES // 1024} KiB")
    content = content.removesuffix(b"\n").removesuffix(b"\r")
    text = _decoded(content)
    if text is None:
        raise InvalidSecretError("is not UTF-8 text")
    if not text:
        raise InvalidSecretError("is empty")
    return text


def _decoded(content: bytes) -> str | None:
    """None instead of an exception: a codec's exception contains the value, even as a context."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def username_of(content: bytes) -> str:
    text = _plausible(text_of(content))
    if ":" in text:
        # Postfix's password table holds USER:PASSWORD and splits at the first one
        # (http://www.postfix.org/SASL_README.html#client_sasl_enable).
        raise InvalidSecretError(
            "contains a colon, which ends the username in Postfix's password table"
        )
    return text


def password_of(content: bytes) -> str:
    return _plausible(text_of(content))


def _plausible(text: str) -> str:
    """Check that a value can be a username or password at all, before it is sent anywhere.

    Raises:
        InvalidSecretError: it begins with a byte-order mark, is the envelope of an encrypted value
            or in PEM form, holds nothing that can be seen, or holds a control character.
    """
    if text.startswith(BYTE_ORDER_MARK):
        raise InvalidSecretError("begins with a byte-order mark, which some editors add")
    if (tool := encryption_of(text)) is not None:
        raise InvalidSecretError(f"is still encrypted by {tool}")
    if is_pem(text):
        raise InvalidSecretError("is a key or a certificate in PEM form")
    if text.lstrip().startswith(_LFS_POINTER):
        raise InvalidSecretError("is a Git LFS pointer, not the file")
    if all(unicodedata.category(letter) in ("Zs", "Zl", "Zp", "Cf") for letter in text):
        raise InvalidSecretError("consists of spaces")
    if any(unicodedata.category(letter) == "Cc" for letter in text):
        raise InvalidSecretError(
            "contains a control character, such as a line break, a tab or a NUL"
        )
    return text


def credential_of(username: str, password: str) -> Credential:
    """Combine both values.

    Raises:
        InvalidSecretError: they are too long together; the sentence begins with both keys.
    """
    plain = len(username.encode()) + len(password.encode()) + 2
    if -(-plain // 3) * 4 > _MAX_LINE:
        raise InvalidSecretError("are longer than a mail server accepts (RFC 4954, section 4)")
    return Credential(username, password)
