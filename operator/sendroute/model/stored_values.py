"""Which values Sendroute keeps: names, numbers and texts.

The shapes of the manifests are built from these types, so there is one place that says which values
are valid; what reads manifests checks some of them more closely, with better messages. The model is
built from them too, so they hold for everything that is decoded: stores, backups, lock files and
saved plans, which others may have written. A name within them is safe as a line of Postfix's alias
file (hostname(7)), in its tables, as a part of the path of a secret, and on a terminal.
"""

from typing import Annotated

from msgspec import Meta

INT64_MAX = 2**63 - 1

LABEL = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z"  # RFC 1123, as Kubernetes reads it
SUBDOMAIN = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\Z"
# Postfix separates the login names of an address by commas and white space
# (postconf(5), smtpd_sender_login_maps), so a name holds neither.
LOGIN = r"^[!-+.-~-]+\Z"
# A line of text that is safe to show to a person: no control characters (Unicode category Cc), no
# line separators, none that reorder what is displayed (UAX #9), no lone surrogates (not UTF-8).
LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]*\Z"

# RFC 1035, 2.3.4 and RFC 1123, 2.1: labels of 1-63 letters, digits and inner hyphens. The last one
# is not a number, decimal or hexadecimal, because resolvers read such a name as an IPv4 address.
_DNS_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_LAST_LABEL = rf"(?!(?:[0-9]+|0x[0-9a-f]*)\.?\Z){_DNS_LABEL}"
DOMAIN = rf"^(?:{_DNS_LABEL}\.)+{_LAST_LABEL}\Z"
HOST_NAME = rf"^(?:{_DNS_LABEL}\.)*{_LAST_LABEL}\Z"
LONGEST_NAME = 253  # in text: 255 octets on the wire less the first length and the root (RFC 1035)
# Earlier versions kept a final dot.
_NAME_AS_KEPT = rf"(?:{_DNS_LABEL}\.)*{_LAST_LABEL}\.?"
_IPV4 = r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}"
_IPV6 = r"[0-9a-f:]*:[0-9a-f:.]*"
_HOST = rf"^(?:{_NAME_AS_KEPT}|{_IPV4}|{_IPV6})\Z"

MOST_PORTS = 20
MOST_NETWORKS = 200
MOST_PLANS = 500
MOST_LOGINS = 100
LONGEST_TEST = 300
"""Seconds: the five minutes that RFC 5321, section 4.5.3.2.1 gives a server for its greeting."""


def _line(most: int) -> Meta:
    return Meta(min_length=1, max_length=most, pattern=LINE)


StoredLabel = Annotated[str, Meta(min_length=1, max_length=63, pattern=LABEL)]
"""A namespace, or the name of an account, profile or service plan."""
StoredSecretName = Annotated[str, Meta(min_length=1, max_length=253, pattern=SUBDOMAIN)]
StoredDomain = Annotated[str, Meta(max_length=LONGEST_NAME, pattern=DOMAIN)]
"""A sending domain as a lower-case A-label (RFC 5890)."""
StoredHostName = Annotated[str, Meta(max_length=LONGEST_NAME, pattern=HOST_NAME)]
StoredHost = Annotated[str, Meta(max_length=LONGEST_NAME + 1, pattern=_HOST)]
"""A DNS name, with or without the final dot, or an address without brackets."""
StoredPort = Annotated[int, Meta(ge=1, le=65535)]
StoredLogin = Annotated[str, Meta(min_length=1, max_length=255, pattern=LOGIN)]
StoredLogins = Annotated[tuple[StoredLogin, ...], Meta(min_length=1, max_length=MOST_LOGINS)]
StoredDisplayName = Annotated[str, _line(80)]
StoredSpfTerm = Annotated[str, _line(255)]
StoredFilePath = Annotated[str, _line(4096)]
StoredApplyAllId = Annotated[str, _line(63)]
StoredNetwork = Annotated[str, _line(64)]
"""A network in CIDR form, as far as a pattern can say; see :func:`is_network`."""
StoredUsername = Annotated[str, _line(255)]
StoredLimit = Annotated[int, Meta(ge=1, le=INT64_MAX)]
StoredCount = Annotated[int, Meta(ge=0, le=INT64_MAX)]
StoredSeconds = Annotated[int, Meta(ge=1, le=LONGEST_TEST)]


def is_network(text: str) -> bool:
    """Return whether a text is a network, as :mod:`sendroute.connection.addresses` reads it."""
    import ipaddress  # only for the few platforms that list networks

    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True
