"""How a host is spoken to: one description, for the connection test and for delivery by Postfix.

A test predicts delivery only as far as both do the same. So every choice of an SMTP client that can
change an outcome is a value of this module: TLS, ciphers, sign-in, the name for EHLO, addresses and
times. Beside each value is the Postfix parameter that must have it (postconf(5)).
"""

from enum import StrEnum
from ipaddress import ip_address

from msgspec import Struct

from sendroute.model.platform import Relay
from sendroute.model.profile import Encryption, Profile
from sendroute.model.secret import SecretBinding


class Mechanism(StrEnum):
    """A way to sign in (RFC 4616; LOGIN is older than RFCs about it). Both send the password, so
    they are the same in tests and in delivery, whatever else a server offers."""

    PLAIN = "plain"
    LOGIN = "login"


class SmtpClient(Struct, frozen=True):
    """What is the same for every host.

    Attributes:
        mechanisms: in the order of preference, with and without TLS: ``smtp_sasl_mechanism_filter``
            of the same words. Without it Postfix chooses CRAM-MD5 or SCRAM if they are offered.
            Only the first that a server offers is tried.
        tls_minimum: ``smtp_tls_mandatory_protocols`` without all that is older.
        ciphers: OpenSSL's own default list: ``tls_medium_cipherlist``, at
            ``smtp_tls_mandatory_ciphers = medium``. Python's list is shorter.
        command_line: octets of a command with its line end (RFC 4954, section 4). A longer initial
            response is sent after the server's 334.
        reply_text: octets of a reply. After so many, no further line of it is read, and so no
            keyword of EHLO: the default of ``line_length_limit``.
        pix_workarounds: ``smtp_pix_workarounds``. Its default also holds ``disable_esmtp``: after a
            greeting without a text Postfix sends HELO, not EHLO, and so has neither STARTTLS nor a
            sign-in.
        max_addresses: how many addresses of a host are tried in order:
            ``smtp_mx_address_limit`` and ``smtp_mx_session_limit``.
        timeout: seconds for a whole test, and for each of ``smtp_connect_timeout`` and
            ``smtp_helo_timeout``, unless the platform sets another value.
    """

    mechanisms: tuple[Mechanism, ...] = (Mechanism.PLAIN, Mechanism.LOGIN)
    tls_minimum: str = "TLSv1.2"
    ciphers: str = "DEFAULT"
    command_line: int = 512
    reply_text: int = 2048
    pix_workarounds: tuple[str, ...] = ("delay_dotcrlf",)
    max_addresses: int = 32
    timeout: int = 30


SMTP_CLIENT = SmtpClient()


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


def tls_policy(endpoint: Profile | Relay | SecretBinding) -> TlsPolicy:
    """The TLS policy of an endpoint (RFC 3207 for STARTTLS, RFC 8314 for TLS from the first byte).

    Args:
        endpoint: a profile, the platform's managed relay, or the binding of a credential.

    Returns:
        The policy. An address literal is verified, but not sent as a server name (RFC 6066, section
        3).
    """
    if endpoint.encryption is Encryption.NONE:
        return TlsPolicy(Encryption.NONE, None, None)
    host = endpoint.host.removesuffix(".")
    return TlsPolicy(endpoint.encryption, host, None if is_address(host) else host)


def ehlo_name(declared: str | None, own_name: str | None, managed_host: str | None) -> str | None:
    """The name that a client gives with EHLO (RFC 5321, section 4.1.1.1): ``smtp_helo_name``.

    Args:
        declared: the platform's ``heloName``.
        own_name: the fully qualified name of the machine that connects.
        managed_host: the host of managed sending, as users see it.

    Returns:
        The first of them that is there. None only if there is no name; then the client gives its
        address.
    """
    return declared or own_name or managed_host


def is_address(host: str) -> bool:
    """Whether a host is an address literal (``192.0.2.1``, ``2001:db8::1``) and no name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
