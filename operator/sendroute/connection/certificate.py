"""The authorities that tests trust, and what is wrong with a certificate, in words."""

import re
import ssl
from collections.abc import Iterable
from datetime import UTC, datetime

from cryptography import x509

from sendroute.connection.failure import FailureError
from sendroute.model.connection import ConnectionOutcome

NAMES_AT_MOST = 5


def trusting(ca_file: str | None) -> ssl.SSLContext:
    """TLS 1.2 or newer, the certificate checked against the system's authorities and the
    platform's. Raises FailureError (``tls-failed``) where the platform's cannot be read.

    Not ssl.create_default_context: from Python 3.13 on it refuses certificates of private
    authorities that Postfix takes (VERIFY_X509_STRICT), and both must judge alike.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks chain and host name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except ssl.SSLError:
            raise _unusable("holds no certificate in PEM form") from None
        except OSError as error:
            raise _unusable(f"cannot be read ({error.strerror or 'input/output error'})") from None
    return context


def looking() -> ssl.SSLContext:
    """Takes any certificate, to say what is wrong with it. Nothing is ever sent through it but
    the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


# X509_V_ERR_… of OpenSSL's x509_vfy.h; x509_verify_cert_error_string(3) explains them.
_NOT_YET_VALID, _EXPIRED = 9, 10
_SELF_SIGNED, _SELF_SIGNED_IN_CHAIN = 18, 19
_NO_ISSUER = (2, 20, 21, 27)
_REVOKED, _WRONG_PURPOSE = 23, 26
_WEAK = (66, 67, 68)
_WRONG_NAME, _WRONG_ADDRESS = 62, 64


def complaint(code: int, host: str, certificate: bytes | None) -> str:
    """One sentence for OpenSSL's verification error ``code``. ``certificate`` is the server's own
    in DER, None where it could not be had: then dates and names are left out."""
    seen = _parsed(certificate)
    if code == _EXPIRED:
        return _dated(seen, "expired")
    if code == _NOT_YET_VALID:
        return _dated(seen, "not yet valid")
    if code == _SELF_SIGNED:
        return "The server's certificate is self-signed, and no authority of it is trusted here."
    if code == _SELF_SIGNED_IN_CHAIN or code in _NO_ISSUER:
        return "The server's certificate is from an unknown authority."
    if code in (_WRONG_NAME, _WRONG_ADDRESS):
        names = f" but for {_some(_names(seen))}" if seen else ""
        return f"The server's certificate is not for {_plain(host)}{names}."
    if code == _REVOKED:
        return "The server's certificate is revoked."
    if code == _WRONG_PURPOSE:
        return "The server's certificate is not one for servers."
    if code in _WEAK:
        return "The server's certificate has too weak a key or signature."
    return f"The server's certificate was not accepted (OpenSSL verification error {code})."


def _dated(seen: x509.Certificate | None, what: str) -> str:
    """The date is told only where it is the server's own certificate that is out of date, and not
    one above it."""
    now = datetime.now(UTC)
    if seen is not None and what == "expired" and seen.not_valid_after_utc < now:
        return f"The server's certificate expired on {seen.not_valid_after_utc:%Y-%m-%d}."
    if seen is not None and what != "expired" and seen.not_valid_before_utc > now:
        return f"The server's certificate is valid only from {seen.not_valid_before_utc:%Y-%m-%d}."
    if seen is None:
        return f"The server's certificate, or one it stands on, is {what}."
    return f"A certificate that the server's own stands on is {what}."


def _parsed(certificate: bytes | None) -> x509.Certificate | None:
    try:
        return x509.load_der_x509_certificate(certificate) if certificate else None
    except ValueError:
        return None


def _names(seen: x509.Certificate) -> list[str]:
    """The names that count: the alternative ones, and the common name where there are none."""
    try:
        extension = seen.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        subject = seen.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return [str(attribute.value) for attribute in subject]
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return []
    addresses = extension.value.get_values_for_type(x509.IPAddress)
    return extension.value.get_values_for_type(x509.DNSName) + [str(a) for a in addresses]


def _some(names: Iterable[str]) -> str:
    """A few of them, made harmless: what is in a certificate is the server's text too."""
    clean = list(dict.fromkeys(filter(None, map(_plain, names))))
    if not clean:
        return "no name at all"
    more = len(clean) - NAMES_AT_MOST
    return ", ".join(clean[:NAMES_AT_MOST]) + (f" and {more} more" if more > 0 else "")


def _plain(name: str) -> str:
    return name[:253] if re.fullmatch(r"[A-Za-z0-9_.:*-]+", name[:253]) else ""


def _unusable(why: str) -> FailureError:
    return FailureError(
        ConnectionOutcome.TLS_FAILED,
        f"The platform's caFile (spec.connectionTest) {why}, so no certificate can be checked.",
    )
