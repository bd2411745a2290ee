"""The TLS policy of a destination, shared by the connection test and Postfix."""

from ipaddress import ip_address

from msgspec import Struct

from sendroute.model.platform import Relay
from sendroute.model.profile import Encryption, Profile


class TlsPolicy(Struct, frozen=True):
    """Encryption is never opportunistic: if it fails, the attempt ends.

    ``mode``: ``NONE`` is no TLS, ``STARTTLS`` explicit TLS (RFC 3207), required, and ``TLS``
    implicit TLS (RFC 8314, section 3.3). ``verify`` is the name or address that the certificate
    must be valid for, None exactly without TLS. ``sni`` is the name sent in the handshake; it is
    None for an address too, because RFC 6066, section 3 allows only names.
    """

    mode: Encryption
    verify: str | None
    sni: str | None


def tls_policy(endpoint: Profile | Relay) -> TlsPolicy:
    """The TLS policy of an endpoint (RFC 3207 for STARTTLS, RFC 8314 for TLS from the first byte).

    Args:
        endpoint: a profile, or the platform's managed relay.

    Returns:
        The policy. An address literal is verified, but not sent as a server name (RFC 6066, section
        3).
    """
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
