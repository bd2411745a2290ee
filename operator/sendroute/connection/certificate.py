"""The certificate authorities that tests trust, and why a certificate is rejected, in words."""

import os
import re
import ssl
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

from cryptography import x509
from msgspec import Struct

from sendroute.connection.failure import ConnectionTestError
from sendroute.files.reason import reason_of
from sendroute.files.regular import regular
from sendroute.model.byte_order_mark import has_mark
from sendroute.model.connection import ConnectionOutcome
from sendroute.model.smtp_client import SMTP_CLIENT

MAX_NAMES = 5

_T = TypeVar("_T")


def trusted_context(ca_file: str | None, *, lacks_manifest: bool = False) -> ssl.SSLContext:
    """Create a context that verifies certificates.

    Not ``ssl.create_default_context``: from Python 3.13 on it rejects certificates of private
    authorities that Postfix accepts (VERIFY_X509_STRICT), and both must decide the same.

    Args:
        ca_file: the platform's authorities in PEM form, in addition to the system's.
        lacks_manifest: whether ``ca_file`` is relative to a manifest that was not given.

    Raises:
        ConnectionTestError: ``ca_file`` cannot be read (``tls-failed``).
    """
    context = _client_context()  # checks chain and host name
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if ca_file is not None:
        try:
            with open(ca_file, "rb", opener=regular) as file:
                if has_mark(file.read(3)):
                    reason = "begins with a byte-order mark, which Postfix does not accept"
                    raise _unusable(ca_file, reason, lacks_manifest)
            context.load_verify_locations(cafile=ca_file)
        except ssl.SSLError:
            reason = "holds no certificate in PEM form"
            raise _unusable(ca_file, reason, lacks_manifest) from None
        except OSError as error:
            reason = f"cannot be read ({reason_of(error)})"
            raise _unusable(ca_file, reason, lacks_manifest) from None
    return context


def unverified_context() -> ssl.SSLContext:
    """Create a context that accepts every certificate, to find out why one is rejected. Only the
    handshake is sent through it."""
    context = _client_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _client_context() -> ssl.SSLContext:
    """The versions and ciphers of our clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = _VERSIONS[SMTP_CLIENT.tls_minimum]
    context.set_ciphers(SMTP_CLIENT.ciphers)
    return context


_VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}


class CertificateChain(Struct, frozen=True):
    """The certificates that a server sent, in DER form.

    Attributes:
        certificate: the server's own; None if it is unavailable.
        issuers: the others that it sent; None if they are unavailable.
    """

    certificate: bytes | None = None
    issuers: tuple[bytes, ...] | None = None


def chain_of(tls: ssl.SSLObject) -> CertificateChain:
    """The certificates that the server sent in a handshake. Before Python 3.13 the ssl module shows
    only the first of them, but its own object has them all."""
    certificate = tls.getpeercert(binary_form=True)
    for holder in (tls, getattr(tls, "_sslobj", None)):
        read = getattr(holder, "get_unverified_chain", None)
        if read is not None:
            sent = [c if isinstance(c, bytes) else c.public_bytes(_DER) for c in read() or ()]
            return CertificateChain(certificate, tuple(sent[1:]))
    return CertificateChain(certificate)


_DER = 2  # X509_FILETYPE_ASN1 of OpenSSL's ssl.h


# X509_V_ERR_… of OpenSSL's x509_vfy.h; x509_verify_cert_error_string(3) explains them.
_NOT_YET_VALID, _EXPIRED = 9, 10
_SELF_SIGNED, _SELF_SIGNED_IN_CHAIN = 18, 19
_NO_ISSUER = (2, 20, 21, 27)
_REVOKED, _WRONG_PURPOSE = 23, 26
_WEAK = (66, 67, 68)
_WRONG_NAME, _WRONG_ADDRESS = 62, 64


class _Certificate(NamedTuple):
    """What is read of a certificate; None or nothing for a part that cannot be read."""

    issuer: x509.Name | None
    subject: x509.Name | None
    valid_from: datetime | None
    valid_until: datetime | None
    names: tuple[str, ...]
    names_issuer: bool


def rejection(code: int, host: str, chain: CertificateChain) -> tuple[str, str | None]:
    """Describe why a certificate was rejected.

    Args:
        code: OpenSSL's verification error.
        host: the name that the certificate was verified for.
        chain: what the server sent; dates and names that are unavailable are omitted.

    Returns:
        One sentence, and what to do about it; None if nothing in particular follows.
    """
    if code in _NO_ISSUER:
        return _without_issuer(chain)
    return _rejection(code, host, _read(chain.certificate)), None


def _without_issuer(chain: CertificateChain) -> tuple[str, str | None]:
    """Tell a server that leaves out its intermediate certificates from one whose authority is
    unknown. A certificate that has an address of its issuer's certificate (RFC 5280, section
    4.2.2.1) is from a public authority, which issues from intermediates only."""
    leaf = _read(chain.certificate)
    sent = [issuer.subject for issuer in map(_read, chain.issuers or ()) if issuer is not None]
    unknown = "The server's certificate is issued by an unknown authority"
    trust = "Add the authority to the platform's caFile, if you trust it."
    if leaf is None or leaf.issuer is None or chain.issuers is None or leaf.issuer in sent:
        return f"{unknown}.", trust
    complete = "The server must send the intermediate certificates of its chain too"
    if leaf.names_issuer:
        return (
            "The server's certificate chain is incomplete: the server does not send the"
            " intermediate certificate that issued its certificate.",
            f"{complete}.",
        )
    return (
        f"{unknown}, or its chain is incomplete: the server sends no certificate of the issuer.",
        f"{complete}, if there are any; otherwise add the authority to the platform's caFile.",
    )


def _rejection(code: int, host: str, seen: _Certificate | None) -> str:
    if code == _EXPIRED:
        return _wrong_date(seen, "expired")
    if code == _NOT_YET_VALID:
        return _wrong_date(seen, "not yet valid")
    if code == _SELF_SIGNED:
        return "The server's certificate is self-signed, and it is not a trusted authority."
    if code == _SELF_SIGNED_IN_CHAIN:
        return "The server's certificate is issued by an unknown authority."
    if code in (_WRONG_NAME, _WRONG_ADDRESS):
        names = f" but for {_shorten(seen.names)}" if seen else ""
        return f"The server's certificate is not valid for {_harmless(host)}{names}."
    if code == _REVOKED:
        return "The server's certificate is revoked."
    if code == _WRONG_PURPOSE:
        return "The server's certificate is not meant for servers (extended key usage)."
    if code in _WEAK:
        return "The key or signature of the server's certificate is too weak."
    return f"The server's certificate was rejected (OpenSSL verification error {code})."


def _wrong_date(seen: _Certificate | None, fault: str) -> str:
    """The date is given only if the server's own certificate is out of date, not its issuer's."""
    now = datetime.now(UTC)
    if seen is None or seen.valid_from is None or seen.valid_until is None:
        return f"The server's certificate, or one in its chain, is {fault}."
    if fault == "expired" and seen.valid_until < now:
        return f"The server's certificate expired on {seen.valid_until:%Y-%m-%d}."
    if fault != "expired" and seen.valid_from > now:
        return f"The server's certificate is valid only from {seen.valid_from:%Y-%m-%d}."
    return f"A certificate in the chain of the server's certificate is {fault}."


def _read(certificate: bytes | None) -> _Certificate | None:
    """Read a certificate, which a hostile server may have written."""
    seen = _part(lambda: x509.load_der_x509_certificate(certificate), None) if certificate else None
    if seen is None:
        return None
    return _Certificate(
        _part(lambda: seen.issuer, None),
        _part(lambda: seen.subject, None),
        _part(lambda: seen.not_valid_before_utc, None),
        _part(lambda: seen.not_valid_after_utc, None),
        _part(lambda: _names(seen), ()),
        _part(lambda: _names_issuer(seen), False),
    )


def _part(read: Callable[[], _T], otherwise: _T) -> _T:
    """A part of a certificate, or what stands for it. The library reads a part when it is asked for
    it, and has many errors for what it cannot read: ValueError, TypeError, InvalidVersion,
    UnsupportedGeneralNameType."""
    try:
        return read()
    except Exception:  # noqa: BLE001 - a certificate never ends a test
        return otherwise


def _names(seen: x509.Certificate) -> tuple[str, ...]:
    """The names that are verified: the alternative names, or the common name if there are none."""
    try:
        extension = seen.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        subject = seen.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return tuple(str(attribute.value) for attribute in subject)
    addresses = extension.value.get_values_for_type(x509.IPAddress)
    return (*extension.value.get_values_for_type(x509.DNSName), *map(str, addresses))


def _names_issuer(seen: x509.Certificate) -> bool:
    access = seen.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    issuer = x509.oid.AuthorityInformationAccessOID.CA_ISSUERS
    return any(description.access_method == issuer for description in access.value)


def _shorten(names: Iterable[str]) -> str:
    """The first names, without special characters: a certificate is text of the server too."""
    clean = list(dict.fromkeys(filter(None, map(_harmless, names))))
    if not clean:
        return "no name"
    omitted = len(clean) - MAX_NAMES
    return ", ".join(clean[:MAX_NAMES]) + (f" and {omitted} more" if omitted > 0 else "")


def _harmless(name: str) -> str:
    return name[:253] if re.fullmatch(r"[A-Za-z0-9_.:*-]+", name[:253]) else ""


def _unusable(ca_file: str, reason: str, lacks_manifest: bool) -> ConnectionTestError:
    advice = f"Correct the caFile of the MailPlatform, or the file at {ca_file}."
    if lacks_manifest:
        advice = (
            "Give the manifest of the MailPlatform too: the caFile is relative to it, and without"
            f" it {os.path.abspath(ca_file)} was read. Or declare an absolute path."  # noqa: PTH100
        )
    return ConnectionTestError(
        ConnectionOutcome.TLS_FAILED,
        f"The platform's caFile (spec.connectionTest) {reason}, so certificates cannot be"
        " verified.",
        advice=advice,
    )
