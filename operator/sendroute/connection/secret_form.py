"""What is suspicious about the form of a secret that a server rejected, without any part of it."""

import base64
import binascii
import json
import unicodedata
from collections.abc import Iterator

from sendroute.model.credential import Credential
from sendroute.model.secret_text import is_placeholder, is_reference
from sendroute.model.unseen import UNSEEN

_MIN_BASE64 = 12
"""Characters without padding: a shorter word may decode to text by chance."""
_RSA_BYTES = (256, 384, 512)  # keys of 2048 to 4096 bits
_GCM_TAG = 16  # bytes
_SHORTEST_SEALED = (2 + _RSA_BYTES[0] + _GCM_TAG) * 4 // 3


def suspicion(credential: Credential) -> str | None:
    """Describe what a username or password has that is usually a mistake of writing it.

    Args:
        credential: what the server rejected.

    Returns:
        One sentence; None if nothing is suspicious. It depends on the form only: no length, no
        position and no character of the value is in it.
    """
    clauses = [
        f"its {name} {' and '.join(reasons)}"
        for name, value in (("username", credential.username), ("password", credential.password))
        if (reasons := list(_suspicions(value)))
    ]
    return f"The secret may be written wrongly: {'; '.join(clauses)}." if clauses else None


def _suspicions(value: str) -> Iterator[str]:
    inner = value.strip()
    if inner != value:
        yield "begins or ends with a space"
    if any(map(_is_invisible, inner)):
        yield "holds invisible characters"
    if len(inner) > 1 and (inner[0] + inner[-1]) in ('""', "''", "``", "“”", "‘’"):
        yield "is in quotes"
    if is_placeholder(inner):
        yield "is a placeholder that nothing has replaced"
    if is_reference(inner):
        yield "is a reference to a store of secrets that nothing has resolved"
    if _is_sealed(inner):
        yield "is a value of a SealedSecret that nothing has decrypted"
    if _is_json_document(inner):
        yield "is a JSON document instead of one value of it"
    if _is_encoded(inner):
        yield "is base64 as a whole"


def _is_invisible(letter: str) -> bool:
    """Format characters (zero width, soft hyphen, byte-order mark), fillers, and every space but
    U+0020."""
    if UNSEEN.match(letter):
        return True
    return letter != " " and unicodedata.category(letter) in ("Cf", "Zs", "Zl", "Zp")


def _is_encoded(value: str) -> bool:
    """Whether it is the base64 of printable text. The base64 of other bytes is a common form of
    generated passwords."""
    if len(value) < _MIN_BASE64 and not value.endswith("="):
        return False
    try:
        text = base64.b64decode(value, validate=True).decode().strip()
    except (binascii.Error, ValueError):
        return False
    return text.isprintable() and text != ""


def _is_sealed(text: str) -> bool:
    """Whether a text is an encrypted value of a SealedSecret
    (https://github.com/bitnami-labs/sealed-secrets/blob/main/pkg/crypto/crypto.go): in base64, the
    length of an RSA ciphertext in two bytes, the ciphertext, and what AES-GCM encrypted."""
    if len(text) < _SHORTEST_SEALED:
        return False
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:  # also text that is not ASCII
        return False
    length = int.from_bytes(data[:2], "big")
    return length in _RSA_BYTES and len(data) >= 2 + length + _GCM_TAG


def _is_json_document(text: str) -> bool:
    """Whether a text is an object or a list in JSON, as stores of secrets give several values."""
    if not text.startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
