"""Names of domains and hosts, in the form in which they are compared.

That form is the lower-case A-label (RFC 5890), from IDNA 2008 with the non-transitional mapping of
UTS #46. One regular expression accepts plain ASCII names, which are nearly all.
"""

import re
from typing import NoReturn

from msgspec import Struct

from sendroute.manifests.wording import ENCRYPT_ONLY_SECRETS
from sendroute.model.secret_text import encryption_of
from sendroute.model.stored_values import DOMAIN, HOST_NAME
from sendroute.model.stored_values import LONGEST_NAME as _LONGEST

_is_domain = re.compile(DOMAIN).match
_is_host = re.compile(HOST_NAME).match

# An invisible joiner anywhere but between two symbols.
_JOINED_LETTER = re.compile(r"(?:^|\w)[\u200c\u200d]|[\u200c\u200d](?:\w|$)")
_DOTS = (".", "\u3002", "\uff0e", "\uff61")  # the characters that UTS #46 maps to a dot


class InvalidNameError(ValueError):
    """An invalid name. ``message`` follows the name of the field: "must …"."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Host(Struct, frozen=True, gc=False):
    """A host as it is compared: a DNS name, or an address in its shortest form, unbracketed."""

    name: str
    is_address: bool = False


def plain_domain_name(text: str) -> str | None:
    """Return a valid ASCII name in lower case, without any table of Unicode; None for any other."""
    if text.isascii():
        name = text.lower()
        if _is_domain(name) and len(name) <= _LONGEST and "xn--" not in name:
            return name
    return None


def domain_name(text: str) -> str:
    """Convert a sending domain to its lower-case A-label (RFC 5890, IDNA 2008 with UTS #46).

    Args:
        text: the name as it is written, with U-labels or A-labels.

    Returns:
        The name in the form in which names are compared.

    Raises:
        InvalidNameError: the name is not a domain name.
    """
    plain = plain_domain_name(text)
    if plain is not None:
        return plain
    if _address(text) is not None:
        raise InvalidNameError(
            "must be a domain name, not an IP address", "For example: example.com."
        )
    if re.fullmatch(r"[^@/:]+:[0-9]+", text):
        raise InvalidNameError(
            "must be a name without a port", "Remove the port: a sending domain has none."
        )
    name = _a_label(text)
    if "." not in name:
        raise InvalidNameError(
            "must be a full domain name, not a single label",
            "For example: shop.example.com.",
        )
    return name


def host(text: str) -> Host:
    """Return a host: a name as its lower-case A-label, or an IP address.

    A single label is accepted, and an IPv6 address with or without brackets.

    Raises:
        InvalidNameError: the text is neither a host name nor an address.
    """
    if text.isascii():
        name = text.lower()
        if _is_host(name) and len(name) <= _LONGEST and "xn--" not in name:
            return Host(name)
    address = _address(text)
    return Host(address, is_address=True) if address is not None else Host(_a_label(text))


def to_unicode(name: str) -> str:
    """Return the name of a domain for people: its A-labels as U-labels (RFC 5890), if it has
    any."""
    if "xn--" not in name:
        return name
    import idna

    try:
        return idna.decode(name)
    except idna.IDNAError:
        return name


def every_u_label(name: str) -> str:
    """Return the name of a domain with U-labels, also of labels that IDNA 2008 has no place for
    (emoji): for comparing with what a person typed, not for showing."""
    return ".".join(map(_u_label, name.split(".")))


def _u_label(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label


def typed_pattern(text: str) -> str:
    """Return a pattern in the form that matches what :func:`every_u_label` returns: with the
    mapping of UTS #46, as for a domain, and U-labels.

    Args:
        text: the pattern as typed. Its wildcards are kept.
    """
    import idna

    try:
        mapped = idna.uts46_remap(text, std3_rules=False, transitional=False)
    except idna.IDNAError:  # no domain has such a character
        mapped = text.lower()
    return every_u_label(mapped)


def _a_label(text: str) -> str:
    _refuse_what_is_no_name(text)
    name = text.lower()
    if not text.isascii() or "xn--" in name:
        name = _encoded(text)
    for label in name.split("."):
        _refuse_bad_label(label)
    if len(name) > _LONGEST:
        raise InvalidNameError(
            f"must be at most {_LONGEST} characters, not {len(name)}",
            "DNS has no longer names (RFC 1035).",
        )
    if not _is_host(name):
        raise InvalidNameError(
            "must not end in a number",
            "Resolvers read such a name as an IPv4 address.",
        )
    return name


def _refuse_what_is_no_name(text: str) -> None:
    """Refuse a text that is no name, and say what it seems to be. The message does not repeat it,
    because a URL or an address may contain a password or a person's name."""
    if encryption_of(text) is not None:
        raise InvalidNameError("must be a name, not an encrypted text", ENCRYPT_ONLY_SECRETS)
    if any(ord(char) < 0x21 or 0x7F <= ord(char) <= 0x9F for char in text) or text.isspace():
        raise InvalidNameError("must not contain spaces or control characters", "Remove them.")
    if text.endswith(_DOTS):
        raise InvalidNameError("must not end in a dot", "Remove the dot at the end.")
    if "@" in text:
        raise InvalidNameError(
            "must be a name, not a mail address", "Write only the part after the @."
        )
    if "/" in text:
        raise InvalidNameError(
            "must be a name, not a URL or a path", "Write only the host: example.com."
        )
    if ":" in text:
        raise InvalidNameError("must be a name without a port", "Write the port in the field port.")
    if "*" in text:
        raise InvalidNameError(
            "must be a single name, not a pattern", "Declare each domain separately."
        )
    if "_" in text:
        raise InvalidNameError(
            "must not contain an underscore",
            "Host names and mail domains have only letters, digits and hyphens (RFC 1123).",
        )


def _refuse_bad_label(label: str) -> None:
    if not label:
        raise InvalidNameError("must not contain an empty label", "Remove the extra dot.")
    if len(label) > 63:
        raise InvalidNameError(
            f"must have labels of at most 63 characters, not {len(label)}",
            "Each part between dots has at most 63 characters (RFC 1035).",
        )
    if label.startswith("-") or label.endswith("-"):
        raise InvalidNameError(
            "must not have a label that begins or ends with a hyphen",
            "Remove the hyphen next to the dot.",
        )
    if not re.fullmatch(r"[a-z0-9-]+", label):
        raise InvalidNameError(
            "must contain only letters, digits, hyphens and dots", "Remove other characters."
        )


def _encoded(text: str) -> str:
    import idna

    try:
        return idna.encode(text, uts46=True, transitional=False, std3_rules=True).decode("ascii")
    except idna.IDNAError as error:
        outside = _outside_idna(text)
        if outside is not None and text.isascii():
            return outside
        _refuse_encoded(text, error, outside)


def _outside_idna(text: str) -> str | None:
    """The A-label form of a name with characters that DNS uses and IDNA 2008 has no place for, such
    as emoji: those that UTS #46 keeps as they are. None for any other name.

    Only the A-label form is accepted: it decodes and encodes back to the same, while a U-label of
    such characters has no defined encoding.
    """
    labels = [_label_outside_idna(label) for label in re.split(f"[{''.join(_DOTS)}]", text)]
    return ".".join(label for label in labels if label) if all(labels) else None


def _label_outside_idna(label: str) -> str | None:
    import idna

    label = label.lower()
    try:
        if label.isascii() and not label.startswith("xn--"):
            return label
        given = label[4:].encode("ascii").decode("punycode") if label.isascii() else label
        shown = idna.uts46_remap(given, std3_rules=True, transitional=False)
        if not shown:  # `xn--` and nothing, or only characters that are not shown
            return None
        idna.check_nfc(shown)
        idna.check_hyphen_ok(shown)
        idna.check_initial_combiner(shown)
        idna.check_bidi(shown)
        encoded = f"xn--{shown.encode('punycode').decode('ascii')}"
    except UnicodeError:  # of punycode, and of idna
        return None
    if shown.isascii() or (label.isascii() and encoded != label) or _JOINED_LETTER.search(shown):
        return None
    return encoded


def _refuse_encoded(text: str, error: UnicodeError, outside: str | None) -> NoReturn:
    if "too long" in str(error):
        raise InvalidNameError(
            "must have labels of at most 63 characters in their xn-- form",
            "Each part between dots has at most 63 characters (RFC 1035).",
        ) from error
    if "xn--" in text.lower() and outside is None:
        raise InvalidNameError(
            "must be a valid internationalised name, and one of its xn-- labels is not",
            "Write the name in its own script, for example bücher.example.",
        ) from error
    hint = "IDNA 2008 (RFC 5892) does not allow one of its characters."
    if outside is not None and len(outside) <= _LONGEST:
        hint = f"IDNA 2008 (RFC 5892) has no place for one of its characters. Write {outside}."
    raise InvalidNameError("must be a valid internationalised name", hint) from error


def _address(text: str) -> str | None:
    """Return an address literal in its shortest form, None if the text is none."""
    bracketed = text.startswith("[") and text.endswith("]")
    if not bracketed and ":" not in text and not re.fullmatch(r"[0-9.]+", text):
        return None
    import ipaddress

    try:
        address = ipaddress.ip_address(text[1:-1] if bracketed else text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise InvalidNameError(
            "must be an address without a zone", "Remove the % and the part after it."
        )
    return str(address)
