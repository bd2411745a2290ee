"""An SMTP session with a server: TLS, greeting, EHLO, STARTTLS, AUTH, QUIT. No message is sent.

aiosmtplib sends the commands, step by step: its ``connect`` would sign in without TLS if STARTTLS
is not offered, and its ``login`` would try every mechanism with the password in turn.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import assert_never

import aiosmtplib
from aiosmtplib.auth import auth_login_encode

from sendroute.connection.failure import ConnectionTestError
from sendroute.connection.replies import Replies
from sendroute.model.connection import ConnectionOutcome
from sendroute.model.credential import Credential
from sendroute.model.profile import Encryption
from sendroute.model.tls import TlsPolicy

QUIT_TIMEOUT = 1.0
"""Seconds that the server has to answer QUIT; the outcome is known by then."""


class SmtpStep(StrEnum):
    """How far a session is."""

    HANDSHAKE = "the TLS handshake"
    GREETING = "the greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"


class Mechanism(StrEnum):
    PLAIN = "plain"
    LOGIN = "login"
    CRAM_MD5 = "cram-md5"


WITH_TLS = (Mechanism.PLAIN, Mechanism.LOGIN, Mechanism.CRAM_MD5)
WITHOUT_TLS = (Mechanism.CRAM_MD5, Mechanism.PLAIN, Mechanism.LOGIN)
"""Without TLS, the mechanism that does not reveal the password comes first."""


class CertificateError(ConnectionTestError):
    """``code`` is OpenSSL's verification error."""

    def __init__(self, code: int) -> None:
        super().__init__(ConnectionOutcome.TLS_FAILED, "The server's certificate was rejected.")
        self.code = code


class SmtpSession:
    """The methods are called in the order below. Each raises ConnectionTestError, and then only
    ``close`` may be called. ``step`` is how far the session is. The session owns the connected
    socket."""

    def __init__(self, tls: TlsPolicy, context: ssl.SSLContext | None) -> None:
        self.step = SmtpStep.GREETING
        self._tls = tls
        self._context = context
        self._replies = Replies()
        self._smtp = aiosmtplib.SMTP(start_tls=False, timeout=None)

    async def start(self, connected: socket.socket) -> None:
        """Take over the socket; with TLS from the first byte if the policy says so."""
        in_tls = self._tls.mode is Encryption.TLS
        with self._at(SmtpStep.HANDSHAKE if in_tls else SmtpStep.GREETING):
            self._smtp.local_hostname = _address_literal(connected)
            transport, _ = await asyncio.get_running_loop().create_connection(
                lambda: self._replies,
                sock=connected,
                ssl=self._context if in_tls else None,
                server_hostname=self._tls.verify if in_tls else None,
            )
            self._smtp.protocol, self._smtp.transport = self._replies, transport

    async def greet(self) -> None:
        with self._at(SmtpStep.GREETING):
            greeting = await self._replies.read_response()
            if greeting.code != 220:
                raise aiosmtplib.SMTPResponseException(greeting.code, greeting.message)
        await self.hello()

    async def hello(self) -> None:
        with self._at(SmtpStep.EHLO):
            await self._smtp.ehlo()

    async def upgrade(self) -> None:
        """Change to TLS with STARTTLS. What the server offered before is discarded (RFC 3207,
        section 4.2).

        Raises:
            ConnectionTestError: the server does not offer STARTTLS, or the handshake failed.
        """
        with self._at(SmtpStep.STARTTLS):
            if not self._smtp.supports_extension("starttls"):
                raise self._failed("The server does not offer STARTTLS.")
            await self._smtp.starttls(tls_context=self._context, server_hostname=self._tls.verify)

    async def sign_in(self, credential: Credential) -> Mechanism:
        """Sign in with the first mechanism that both sides support.

        The next mechanism is tried only if the server answers that it does not support this one
        (504, RFC 4954, section 4), so that a test is at most one failed sign-in.

        Returns:
            The mechanism that succeeded.

        Raises:
            ConnectionTestError: the sign-in failed.
        """
        if self._tls.mode is not Encryption.NONE and self._ssl_object() is None:
            raise AssertionError("signing in before the TLS that the policy requires")
        mechanism, *others = self._common_mechanisms()
        reply = await self._authenticate(mechanism, credential)
        while reply.code == 504 and others and self._smtp.is_connected:
            mechanism = others.pop(0)
            reply = await self._authenticate(mechanism, credential)
        if reply.code == 235:
            return mechanism
        codes = _codes(reply.code, reply.message)
        if 400 <= reply.code < 600:
            raise _auth_failed(f"The server rejected the sign-in with {_label(mechanism)}{codes}.")
        raise ConnectionTestError(
            ConnectionOutcome.PROTOCOL_ERROR,
            f"The server's reply is not a valid answer to AUTH {_label(mechanism)}{codes}.",
        )

    async def close(self, *, politely: bool, until: float) -> None:
        """Close the connection. Raises nothing.

        Args:
            politely: send QUIT first (RFC 5321, section 4.1.1.10).
            until: the loop time at which the connection is closed at the latest.
        """
        if politely and self._smtp.is_connected:
            quit_deadline = asyncio.get_running_loop().time() + QUIT_TIMEOUT
            try:
                async with asyncio.timeout_at(min(quit_deadline, until)):
                    await self._smtp.quit()
            except (aiosmtplib.SMTPException, OSError):
                pass  # the outcome is known; TimeoutError is an OSError
        if self._replies.transport is not None:
            self._replies.transport.abort()  # type: ignore[attr-defined]

    def seen_certificate(self) -> bytes | None:
        tls = self._ssl_object()
        return tls.getpeercert(binary_form=True) if tls else None

    def tls_version(self) -> str | None:
        tls = self._ssl_object()
        return tls.version() if tls else None

    def _ssl_object(self) -> ssl.SSLObject | None:
        transport = self._replies.transport
        tls = transport.get_extra_info("ssl_object") if transport else None
        return tls if isinstance(tls, ssl.SSLObject) else None

    def _common_mechanisms(self) -> list[Mechanism]:
        order = WITHOUT_TLS if self._tls.mode is Encryption.NONE else WITH_TLS
        offered = self._smtp.server_auth_methods
        common = [mechanism for mechanism in order if mechanism.value in offered]
        if common:
            return common
        if not offered:
            raise _auth_failed("The server does not offer a sign-in (AUTH).")
        supported = ", ".join(map(_label, order))
        raise _auth_failed(f"The server offers none of the mechanisms {supported}.")

    async def _authenticate(
        self, mechanism: Mechanism, credential: Credential
    ) -> aiosmtplib.SMTPResponse:
        with self._at(SmtpStep.AUTH):
            try:
                match mechanism:
                    case Mechanism.PLAIN:
                        sign_in = self._smtp.auth_plain
                    case Mechanism.CRAM_MD5:
                        sign_in = self._smtp.auth_crammd5
                    case Mechanism.LOGIN:
                        return await self._login(credential)
                    case _:
                        assert_never(mechanism)
                return await sign_in(credential.username, credential.password)
            except aiosmtplib.SMTPAuthenticationError as refused:
                return aiosmtplib.SMTPResponse(refused.code, refused.message)
            except UnicodeEncodeError:  # the exception holds the password
                raise _auth_failed("The username or password is not Unicode text.") from None
            except ValueError:  # from hmac, if the system's policy (FIPS 140) forbids MD5
                raise _auth_failed(
                    "CRAM-MD5 needs MD5, which the local security policy forbids."
                ) from None

    async def _login(self, credential: Credential) -> aiosmtplib.SMTPResponse:
        """Send the username when the server asks for it. aiosmtplib's own method sends it with
        AUTH: a server that ignores it there asks again and would receive the password as
        username."""
        reply = await self._smtp.execute_command(b"AUTH", b"LOGIN")
        for answer in auth_login_encode(credential.username, credential.password):
            if reply.code != 334:
                break
            reply = await self._smtp.execute_command(answer)
        return reply

    @contextmanager
    def _at(self, step: SmtpStep) -> Iterator[None]:
        """Translate every error of a step into a ConnectionTestError. The library's errors are
        dropped: their texts are the server's."""
        self.step = step
        try:
            yield
        except ssl.SSLCertVerificationError as error:
            raise CertificateError(error.verify_code) from None
        except ssl.SSLError as error:
            raise _tls_failed(error) from None
        except aiosmtplib.SMTPResponseException as refused:
            raise self._refused(refused.code, refused.message) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise self._lost(error) from None

    def _refused(self, code: int, text: str) -> ConnectionTestError:
        refusal = (
            "refused the session" if self.step is SmtpStep.GREETING else f"refused {self.step}"
        )
        return self._failed(f"The server {refusal}{_codes(code, text)}.")

    def _lost(self, error: Exception) -> ConnectionTestError:
        """The connection is closed: by us after a violation, by TLS, or by the server."""
        lost = self._replies.lost or error.__cause__
        if self._replies.violation:
            return self._failed(f"The server {self._replies.violation}, during {self.step}.")
        if isinstance(lost, ssl.SSLError):
            return _tls_failed(lost)  # for example, the server requires a client certificate
        return self._failed(f"The server closed the connection during {self.step}.")

    def _failed(self, sentence: str) -> ConnectionTestError:
        in_tls = self.step in (SmtpStep.HANDSHAKE, SmtpStep.STARTTLS)
        outcome = ConnectionOutcome.TLS_FAILED if in_tls else ConnectionOutcome.PROTOCOL_ERROR
        return ConnectionTestError(outcome, sentence)


def _auth_failed(sentence: str) -> ConnectionTestError:
    return ConnectionTestError(ConnectionOutcome.AUTH_FAILED, sentence)


def _tls_failed(error: ssl.SSLError) -> ConnectionTestError:
    """``error.reason`` is one of OpenSSL's own words; the server has no influence on its text."""
    match error.reason:
        case "WRONG_VERSION_NUMBER" | "HTTP_REQUEST" | "RECORD_LAYER_FAILURE" | "UNKNOWN_PROTOCOL":
            reason_text = (
                "The server's answer to the TLS handshake is not TLS;"
                " a port on which the server greets first, such as 587, needs encryption: starttls."
            )
        case "UNSUPPORTED_PROTOCOL" | "TLSV1_ALERT_PROTOCOL_VERSION" | "WRONG_SSL_VERSION":
            reason_text = "The server does not support TLS 1.2 or newer."
        case reason:
            reason_text = f"The TLS handshake failed ({reason or 'no reason given'})."
    return ConnectionTestError(ConnectionOutcome.TLS_FAILED, reason_text)


def _codes(code: int, text: str) -> str:
    """`` (535 5.7.8)``: the reply's code and, if its text begins with one of the same class (RFC
    2034, section 4), the enhanced status code. No other text of the reply is ever shown."""
    enhanced = re.match(r"([245])\.[0-9]{1,3}\.[0-9]{1,3}(?![^ \n])", text, re.ASCII)
    if enhanced and enhanced[1] == str(code)[0]:
        return f" ({code} {enhanced[0]})"
    return f" ({code})"


def _label(mechanism: Mechanism) -> str:
    return mechanism.value.upper()


def _address_literal(connected: socket.socket) -> str:
    """The argument of EHLO: our address, as RFC 5321, section 4.1.4 says for a client without a
    host name. Looking up a name would be another, slow DNS query."""
    address = str(connected.getsockname()[0]).partition("%")[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
