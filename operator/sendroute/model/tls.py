"""What TLS a profile's connection has: the one description for the connection test and Postfix."""

from ipaddress import ip_address

from msgspec import Struct

from sendroute.model.platform import Relay
from sendroute.model.profile import Encryption, Profile


class TlsPolicy(Struct, frozen=True):
    """How a server is spoken to, never "if offered": encryption that fails ends the attempt.

    ``mode``: ``NONE`` no TLS; ``STARTTLS`` explicit (RFC 3207), required; ``TLS`` from the first
    byte (RFC 8314, 3.3). ``verify`` is the name or address that the certificate must be for, None
    exactly where there is no TLS. ``sni`` is the name sent in the handshake, None for an address
    too: RFC 6066, 3 allows only names there.
    """

    mode: Encryption
    verify: str | None
    sni: str | None


def tls_policy(endpoint: Profile | Relay) -> TlsPolicy:
    """The policy of a profile, or of the platform's managed relay."""
    if endpoint.encryption is Encryption.NONE:
        return TlsPolicy(Encryption.NONE, None, None)
    host = endpoint.host.removesuffix(".")
    return TlsPolicy(endpoint.encryption, host, None if is_address(host) else host)


def is_address(host: str) -> bool:
    """Whether a host is an address literal (``192.0.2.1``, ``2001:db8::1``) and no name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
