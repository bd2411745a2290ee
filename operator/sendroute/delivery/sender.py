"""Envelope senders: a ``Reverse-path`` (RFC 5321, 4.1.2), or a bare domain."""

import re
from typing import NamedTuple

from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError

# A local part is a dot-string or a quoted string; RFC 6531 adds every character beyond ASCII.
_MAILBOX = re.compile(
    r'(?P<local>"(?:[^"\\\x00-\x1f]|\\[\x20-\x7e])*"|[^\s"<>@,;:\\()\[\]]+)@'
    r'(?P<domain>\[[^\s\[\]]+\]|[^\s"<>@,;:\\()\[\]]+)'
)
# "A receiver SHOULD ignore the source route" (RFC 5321, appendix C).
_SOURCE_ROUTE = re.compile(r"(?:@[^\s@,:]+,?)+:")
NULL_SENDER = "<>"
"""The null sender as people write it, and its key in Postfix's tables: postconf(5),
``smtpd_null_access_lookup_key`` and ``empty_address_default_transport_maps_lookup_key``."""

FOLDED_LETTERS = ("ß", "ẞ", "ς")
"""Letters that Postfix folds to others when it looks up a key (Unicode's full case folding), so
that it would find another domain: ``strasse`` for ``straße``. IDNA keeps them apart (RFC 5894,
7.2)."""


class EnvelopeSender(NamedTuple):
    """``domain`` is as it was typed, neither lower-cased nor encoded; None for the null sender."""

    address: str
    domain: str | None


def read_sender(text: str) -> EnvelopeSender:
    """Parse an envelope sender (RFC 5321, 4.1.2 and 4.5.5).

    Args:
        text: ``user@domain``, ``<user@domain>``, ``domain``, or ``<>`` for the null sender.

    Returns:
        The sender.

    Raises:
        ProblemError: the text has another form (``invalid-value``). An empty text is no null
            sender, because a script passes it if one of its variables is not set.
    """
    inner = text.strip()
    if not inner:
        raise _not_a_sender(text)
    if inner.startswith("<") and inner.endswith(">"):
        inner = inner[1:-1].strip()
        inner = _SOURCE_ROUTE.sub("", inner, count=1) if inner.startswith("@") else inner
    if not inner:
        return EnvelopeSender(NULL_SENDER, None)
    mailbox = _MAILBOX.fullmatch(inner)
    if mailbox:
        return EnvelopeSender(inner, mailbox["domain"])
    if re.search(r'[\s"<>@,;()\\]', inner):
        raise _not_a_sender(text)
    return EnvelopeSender(inner, inner)


def domain_keys(domain: str) -> tuple[str, ...]:
    """The keys of a sender domain in Postfix's tables.

    Args:
        domain: its A-label, in lower case.

    Returns:
        The A-label, and its U-label as Postfix looks it up, if it has another. Postfix folds the
        case of keys (Unicode's full case folding), which may spell a letter as several; a U-label
        with ``ß`` or a final sigma would be another domain's key.
    """
    if "xn--" not in domain:
        return (domain,)
    from unicodedata import normalize

    import idna

    try:
        shown = idna.decode(domain)
    except UnicodeError:  # idna.IDNAError is one
        return (domain,)
    folded = shown.casefold()
    is_other = normalize("NFC", folded) != shown
    return (domain,) if folded == domain or is_other else (domain, folded)


def is_looked_up_as(address: str, domain: str) -> bool:
    """Whether Postfix looks up a domain for an address. It folds the case of what is written and
    maps nothing else, such as letters in decomposed form (UTS #46).

    Args:
        address: an envelope sender as it was typed. A bare domain is never written to Postfix.
        domain: the A-label of its domain.
    """
    _, at, typed = address.rpartition("@")
    if not at:
        return True
    is_folded = any(letter in typed for letter in FOLDED_LETTERS)
    return not is_folded and typed.removesuffix(".").casefold() in domain_keys(domain)


def _not_a_sender(text: str) -> ProblemError:
    return ProblemError(
        finding(
            "invalid-value",
            f"`{text}` is neither an address nor a domain.",
            hint="Write user@domain, a domain, or <> for the null sender; quote a local part "
            'that holds special characters: "a b"@domain.',
        )
    )
