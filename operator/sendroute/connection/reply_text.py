"""What a client reads in the text of a reply, exactly as Postfix's SMTP client does.

Postfix is stricter than RFC 5321 here, and laxer there: smtp_chat_resp(), smtp_helo() and
smtp_sasl_helo_auth() in its sources, and sasl_decode64() of Cyrus SASL. What it does not read is
not there for delivery.
"""

import re
from collections.abc import Sequence

from msgspec import Struct

from sendroute.model.smtp_client import SMTP_CLIENT, Mechanism

_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_UNPRINTABLE = re.compile(rb"[^ -~]")
_SIGN_IN = re.compile(
    rb"[0-9]{3}[^a-z0-9]*auth[^a-z0-9.-].*?(?<![a-z0-9-])(?:plain|login)(?![a-z0-9-])",
    re.IGNORECASE,
)
"""A line that is meant as an offer of a sign-in, for a person who looks at it."""


class Offers(Struct, frozen=True):
    """What the answer to EHLO offers. ``mechanisms`` are those that Sendroute knows. ``sign_in`` is
    whether AUTH is offered at all. ``unread_sign_in`` is whether a line offers PLAIN or LOGIN, but
    not so that Postfix reads it."""

    starttls: bool = False
    sign_in: bool = False
    mechanisms: frozenset[Mechanism] = frozenset()
    unread_sign_in: bool = False


def offers_of(lines: Sequence[bytes]) -> Offers:
    """Return what the answer to EHLO offers.

    The first line with a word is the server's name. Keywords end with a space or an equals sign
    (AUTH=LOGIN is of an old draft), mechanisms with a space.

    Args:
        lines: the lines of the reply, without their ends.
    """
    named = [text for line in _read(lines) if (text := line[len(b"250-") :].lstrip(b" ="))]
    keywords: dict[bytes, list[bytes]] = {}
    for text in named[1:]:
        keyword, *rest = re.split(rb"[ =]", text.lower(), maxsplit=1)
        keywords.setdefault(keyword, []).extend(b"".join(rest).split())
    offered = keywords.get(b"auth", [])
    mechanisms = frozenset(m for m in SMTP_CLIENT.mechanisms if m.value.encode() in offered)
    unread = not mechanisms and any(map(_SIGN_IN.match, lines))
    return Offers(b"starttls" in keywords, bool(offered), mechanisms, unread)


def challenge_of(lines: Sequence[bytes]) -> bytes:
    """Return the text of a 334: what follows the code and one character.

    Args:
        lines: the lines of the reply, without their ends.
    """
    return b"\n".join(_read(lines))[len(b"334 ") :]


def is_base64(challenge: bytes) -> bool:
    """Whether a challenge is base64 (RFC 4954, section 4), nothing before or after it included."""
    return _BASE64.fullmatch(challenge) is not None


def _read(lines: Sequence[bytes]) -> list[bytes]:
    """The lines that are read, up to a null byte, and with ``?`` for what is not printable."""
    read, length = list[bytes](), 0
    for line in lines:
        if length >= SMTP_CLIENT.reply_text:
            break
        read.append(_UNPRINTABLE.sub(b"?", line.partition(b"\0")[0]))
        length += len(read[-1]) + (1 if length else 0)
    return read
