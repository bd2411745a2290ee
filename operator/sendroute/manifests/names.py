"""Names of domains and hosts, in the one form in which they are compared.

That form is the lower-case A-label (RFC 5890), got by IDNA 2008 with the non-transitional mapping
of UTS #46. Names that are plain ASCII, nearly all, pass by one regular expression.
"""

import re
from typing import NoReturn

from msgspec import Struct

# RFC 1035, 2.3.4 and RFC 1123, 2.1: labels of 1-63 letters, digits and inner hyphens. The last one
# is not a number, decimal or hexadecimal, or resolvers take the name for an IPv4 address.
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_LAST = rf"(?!(?:[0-9]+|0x[0-9a-f]*)\Z){_LABEL}"
_is_domain = re.compile(rf"(?:{_LABEL}\.)+{_LAST}\Z").match
_is_host = re.compile(rf"(?:{_LABEL}\.)*{_LAST}\Z").match
_LONGEST = 253  # in text: 255 octets on the wire less the first length and the root (RFC 1035)

_DOTS = (".", "\u3002", "\uff0e", "\uff61")  # what UTS #46 takes for a dot


class BadNameError(ValueError):
    """A name that cannot be one. ``message`` goes on after the field's own name: "must …"."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Host(Struct, frozen=True, gc=False):
    """A host as it is compared: a DNS name, or an address in its shortest form, unbracketed."""

    name: str
    is_address: bool = False


def plain_domain_name(text: str) -> str | None:
    """The same where no table of Unicode is asked: of a sound name in ASCII; None for any other."""
    if text.isascii():
        name = text.lower()
        if _is_domain(name) and len(name) <= _LONGEST and "xn--" not in name:
            return name
    return None


def domain_name(text: str) -> str:
    """A sending domain as its lower-case A-label. Raises :class:`BadNameError`."""
    plain = plain_domain_name(text)
    if plain is not None:
        return plain
    if _address(text) is not None:
        raise BadNameError("must be a domain name, not an address", "Write a name: example.com.")
    name = _a_label(text)
    if "." not in name:
        raise BadNameError(
            "must be a whole domain name; a single label is none",
            "Write it with its parent: shop.example.com.",
        )
    return name


def host(text: str) -> Host:
    """A host's name as its lower-case A-label, one label allowed, or an address literal, IPv6 bare
    or in brackets. Raises :class:`BadNameError`."""
    if text.isascii():
        name = text.lower()
        if _is_host(name) and len(name) <= _LONGEST and "xn--" not in name:
            return Host(name)
    address = _address(text)
    return Host(address, is_address=True) if address is not None else Host(_a_label(text))


def to_unicode(name: str) -> str:
    """A name for people: its U-labels where there are any, else as it is."""
    if "xn--" not in name:
        return name
    import idna

    try:
        return idna.decode(name)
    except idna.IDNAError:
        return name


def _a_label(text: str) -> str:
    _refuse_what_is_no_name(text)
    name = text.lower()
    if not text.isascii() or "xn--" in name:
        name = _encoded(text)
    for label in name.split("."):
        _refuse_bad_label(label)
    if len(name) > _LONGEST:
        raise BadNameError(
            f"must be at most {_LONGEST} characters, not {len(name)}",
            "No DNS server can serve a longer name (RFC 1035).",
        )
    if not _is_host(name):
        raise BadNameError(
            "must not end in a number",
            "A name that does is taken for an IPv4 address.",
        )
    return name


def _refuse_what_is_no_name(text: str) -> None:
    """What is something else than a name, by the sentence that says what. Nothing is echoed: a
    URL or an address may hold a password or a person's name."""
    if any(ord(char) < 0x21 or 0x7F <= ord(char) <= 0x9F for char in text) or text.isspace():
        raise BadNameError("must not hold spaces or control characters", "Take them out.")
    if text.endswith(_DOTS):
        raise BadNameError("must not end in a dot", "Leave the dot at the end out.")
    if "@" in text:
        raise BadNameError("must be a name, not a mail address", "Write what follows the @.")
    if "/" in text:
        raise BadNameError(
            "must be a name, not a URL or a path", "Write only the host: example.com."
        )
    if ":" in text:
        raise BadNameError("must be a name without a port", "The port is a field of its own.")
    if "*" in text:
        raise BadNameError("must be one name, not a pattern", "Declare each domain by itself.")
    if "_" in text:
        raise BadNameError(
            "must not hold an underscore",
            "Hosts' and mail domains' names have letters, digits and hyphens (RFC 1123).",
        )


def _refuse_bad_label(label: str) -> None:
    if not label:
        raise BadNameError("must not hold an empty label", "Take out the dot too many.")
    if len(label) > 63:
        raise BadNameError(
            f"must have labels of at most 63 characters, not {len(label)}",
            "The parts between dots cannot be longer (RFC 1035).",
        )
    if label.startswith("-") or label.endswith("-"):
        raise BadNameError(
            "must not have a label that begins or ends with a hyphen",
            "Take the hyphen beside the dot out.",
        )
    if not re.fullmatch(r"[a-z0-9-]+", label):
        raise BadNameError(
            "must hold only letters, digits, hyphens and dots", "Take the other characters out."
        )


def _encoded(text: str) -> str:
    import idna

    try:
        return idna.encode(text, uts46=True, transitional=False, std3_rules=True).decode("ascii")
    except idna.IDNAError as error:
        _refuse_encoded(text, error)


def _refuse_encoded(text: str, error: UnicodeError) -> NoReturn:
    if "too long" in str(error):
        raise BadNameError(
            "must have labels of at most 63 characters in their xn-- form",
            "The parts between dots cannot be longer (RFC 1035).",
        ) from error
    if "xn--" in text.lower():
        raise BadNameError(
            "must be a valid internationalised name, and an xn-- label in it is none",
            "Write the name in its own script: bücher.example.",
        ) from error
    raise BadNameError(
        "must be a valid internationalised name",
        "IDNA 2008 (RFC 5892) does not allow one of its characters there.",
    ) from error


def _address(text: str) -> str | None:
    """An address literal in its shortest form, None for what is none."""
    bracketed = text.startswith("[") and text.endswith("]")
    if not bracketed and ":" not in text and not re.fullmatch(r"[0-9.]+", text):
        return None
    import ipaddress

    try:
        address = ipaddress.ip_address(text[1:-1] if bracketed else text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise BadNameError(
            "must be an address without a zone", "Leave the % and what follows it out."
        )
    return str(address)
