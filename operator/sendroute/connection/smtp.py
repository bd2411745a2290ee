"""An SMTP session with a server: TLS, greeting, EHLO, STARTTLS, AUTH, QUIT. No message is sent.

aiosmtplib sends the commands, step by step: its ``connect`` would sign in without TLS if STARTTLS
is not offered, and its ``login`` would try every mechanism with the password in turn. Its methods
for EHLO and HELO accept one code only; a client decides by the first digit (RFC 5321, section
4.3.2), as Postfix does. Nor does it read the text of a reply as Postfix does: see
:mod:`.reply_text`.
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
from aiosmtplib.auth import auth_login_encode, auth_plain_encode

from sendroute.connection.certificate import CertificateChain, chain_of
from sendroute.connection.failure import ConnectionTestError
from sendroute.connection.replies import SHUTDOWN, Replies, is_success
from sendroute.connection.reply_text import Offers, challenge_of, is_base64, offers_of
from sendroute.connection.secret_form import suspicion
from sendroute.model.connection import ConnectionOutcome
from sendroute.model.credential import Credential
from sendroute.model.profile import Encryption
from sendroute.model.smtp_client import SMTP_CLIENT, Mechanism, TlsPolicy

QUIT_TIMEOUT = 1.0
"""Seconds that the server has to answer QUIT; the outcome is known by then."""


class SmtpStep(StrEnum):
    """How far a session is."""

    HANDSHAKE = "the TLS handshake"
    GREETING = "the greeting"
    EHLO = "EHLO"
    HELO = "HELO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"


_BEFORE_EHLO = (SmtpStep.HANDSHAKE, SmtpStep.GREETING)


class CertificateError(ConnectionTestError):
    """``code`` is OpenSSL's verification error."""

    def __init__(self, code: int) -> None:
        super().__init__(ConnectionOutcome.TLS_FAILED, "The server's certificate was rejected.")
        self.code = code


class SmtpSession:
    """The methods are called in the order below. Each raises ConnectionTestError, and then only
    ``close`` may be called. ``step`` is how far the session is. The session owns the connected
    socket.

    Args:
        tls: the TLS policy.
        context: the context of TLS; None without TLS.
        name: the name for EHLO; None for our address.
        signs_in: whether :meth:`sign_in` will be called.
    """

    def __init__(
        self, tls: TlsPolicy, context: ssl.SSLContext | None, name: str | None, *, signs_in: bool
    ) -> None:
        self.step = SmtpStep.GREETING
        self._tls = tls
        self._context = context
        self._name = name
        self._signs_in = signs_in
        self._replies = Replies()
        self._offers = Offers()
        self._smtp = aiosmtplib.SMTP(start_tls=False, timeout=None)

    @property
    def heard(self) -> bool:
        """Whether the server has sent anything, not counting TLS."""
        return self._replies.heard

    @property
    def offers_starttls(self) -> bool:
        """Whether the server's last answer to EHLO offers STARTTLS."""
        return self._offers.starttls

    async def start(self, connected: socket.socket) -> None:
        """Take over the socket; with TLS from the first byte if the policy says so."""
        in_tls = self._tls.mode is Encryption.TLS
        with self._at(SmtpStep.HANDSHAKE if in_tls else SmtpStep.GREETING):
            self._smtp.local_hostname = self._name or _address_literal(connected)
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
            _check_success(greeting)
        await self.hello()

    async def hello(self) -> None:
        """EHLO; HELO if the server refuses EHLO and none of its extensions is needed (RFC 5321,
        section 3.2). Only 421 ends the session, as for Postfix."""
        self._offers = Offers()
        name = (self._smtp.local_hostname or "").encode("ascii")
        with self._at(SmtpStep.EHLO):
            reply = await self._smtp.execute_command(b"EHLO", name)
            if is_success(reply.code):
                self._offers = offers_of(self._replies.lines)
                return
            needs_starttls = self._tls.mode is Encryption.STARTTLS and self._ssl_object() is None
            if self._signs_in or needs_starttls or reply.code == 421:
                _check_success(reply)
        with self._at(SmtpStep.HELO):
            _check_success(await self._smtp.execute_command(b"HELO", name))

    async def upgrade(self) -> None:
        """Change to TLS with STARTTLS. What the server offered before is discarded (RFC 3207,
        section 4.2).

        Raises:
            ConnectionTestError: the server does not offer STARTTLS, or the handshake failed.
        """
        with self._at(SmtpStep.STARTTLS):
            if not self.offers_starttls:
                raise self._failed("The server does not offer STARTTLS.")
            if self._context is None:
                raise AssertionError("STARTTLS without a context of TLS")
            await self._replies.start_tls(self._context, server_hostname=self._tls.verify)
            self._smtp.transport = self._replies.transport
        self._offers = Offers()

    async def sign_in(self, credential: Credential) -> Mechanism:
        """Sign in with the first mechanism that the server offers, and with no other, as Postfix
        does: not even if the server answers that it does not support this one (504, RFC 4954,
        section 4).

        Returns:
            The mechanism that succeeded.

        Raises:
            ConnectionTestError: the sign-in failed.
        """
        if self._tls.mode is not Encryption.NONE and self._ssl_object() is None:
            raise AssertionError("signing in before the TLS that the policy requires")
        mechanism = self._common_mechanism()
        reply = await self._authenticate(mechanism, credential)
        if is_success(reply.code):
            return mechanism
        codes = _codes(reply.code, reply.message)
        if 400 <= reply.code < 500:
            raise _temporary(f"The server cannot sign in any client now{codes}.")
        if reply.code == 504:
            sentence = (
                f"The server offers {_label(mechanism)}, and then does not support it{codes}."
            )
            raise _auth_failed(sentence, _ONE_MECHANISM)
        if 500 <= reply.code < 600:
            sentence = f"The server rejected the sign-in with {_label(mechanism)}{codes}."
            raise _auth_failed(" ".join(filter(None, (sentence, suspicion(credential)))))
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

    def seen_chain(self) -> CertificateChain:
        """The certificates that the server sent."""
        tls = self._ssl_object()
        return chain_of(tls) if tls else CertificateChain()

    def tls_version(self) -> str | None:
        tls = self._ssl_object()
        return tls.version() if tls else None

    def _ssl_object(self) -> ssl.SSLObject | None:
        transport = self._replies.transport
        tls = transport.get_extra_info("ssl_object") if transport else None
        return tls if isinstance(tls, ssl.SSLObject) else None

    def _common_mechanism(self) -> Mechanism:
        for mechanism in SMTP_CLIENT.mechanisms:
            if mechanism in self._offers.mechanisms:
                return mechanism
        if self._offers.unread_sign_in:
            sentence = "The server offers a sign-in (AUTH) in a form that Postfix does not read."
            raise _auth_failed(sentence, _UNREAD_SIGN_IN)
        if not self._offers.sign_in:
            raise _auth_failed("The server does not offer a sign-in (AUTH).", _NO_SIGN_IN)
        supported = ", ".join(map(_label, SMTP_CLIENT.mechanisms))
        sentence = f"The server offers none of the mechanisms {supported}."
        raise _auth_failed(sentence, _NO_MECHANISM)

    async def _authenticate(
        self, mechanism: Mechanism, credential: Credential
    ) -> aiosmtplib.SMTPResponse:
        with self._at(SmtpStep.AUTH):
            try:
                match mechanism:
                    case Mechanism.PLAIN:
                        return await self._plain(credential)
                    case Mechanism.LOGIN:
                        return await self._login(credential)
                    case _:
                        assert_never(mechanism)
            except UnicodeEncodeError:  # the exception holds the password
                raise _auth_failed("The username or password is not Unicode text.") from None

    async def _plain(self, credential: Credential) -> aiosmtplib.SMTPResponse:
        """The response in the command's line if it fits, otherwise after the server's 334 (RFC
        4954, section 4)."""
        response = auth_plain_encode(credential.username, credential.password)
        command = (b"AUTH", b"PLAIN", response)
        if len(b" ".join(command)) + len(b"\r\n") <= SMTP_CLIENT.command_line:
            return await self._smtp.execute_command(*command)
        reply = await self._smtp.execute_command(*command[:2])
        if not _is_challenge(reply):
            return reply
        if challenge_of(self._replies.lines):
            raise self._failed(
                f"The server's answer to AUTH PLAIN has a text ({reply.code}).",
                advice=_BAD_CHALLENGE,
            )
        return await self._smtp.execute_command(response)

    async def _login(self, credential: Credential) -> aiosmtplib.SMTPResponse:
        """Send the username when the server asks for it. aiosmtplib's own method sends it with
        AUTH: a server that ignores it there asks again and would receive the password as
        username."""
        reply = await self._smtp.execute_command(b"AUTH", b"LOGIN")
        for answer in auth_login_encode(credential.username, credential.password):
            if not _is_challenge(reply):
                break
            if not is_base64(challenge_of(self._replies.lines)):
                raise self._failed(
                    f"The server's challenge to AUTH LOGIN is not base64 ({reply.code}).",
                    advice=_BAD_CHALLENGE,
                )
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
        if 400 <= code < 500:
            doing = (
                "accepts no session" if self.step is SmtpStep.GREETING else f"refuses {self.step}"
            )
            return _temporary(f"The server {doing} now{_codes(code, text)}.", next_address=True)
        refusal = (
            "refused the session" if self.step is SmtpStep.GREETING else f"refused {self.step}"
        )
        return self._failed(f"The server {refusal}{_codes(code, text)}.")

    def _lost(self, error: Exception) -> ConnectionTestError:
        """The connection is closed: by us after a violation, by TLS, or by the server."""
        lost = self._replies.lost or error.__cause__
        if self._replies.violation == SHUTDOWN:
            before_sign_in = self.step is not SmtpStep.AUTH
            sentence = f"The server {SHUTDOWN}, during {self.step}."
            return _temporary(sentence, next_address=before_sign_in)
        if self._replies.violation:
            return self._failed(f"The server {self._replies.violation}, during {self.step}.")
        if isinstance(lost, ssl.SSLError):
            return _tls_failed(lost)  # for example, the server requires a client certificate
        return self._failed(
            f"The server closed the connection during {self.step}.",
            next_address=self.step in _BEFORE_EHLO or self.step is SmtpStep.EHLO,
        )

    def _failed(
        self, sentence: str, *, advice: str | None = None, next_address: bool = False
    ) -> ConnectionTestError:
        in_tls = self.step in (SmtpStep.HANDSHAKE, SmtpStep.STARTTLS)
        outcome = ConnectionOutcome.TLS_FAILED if in_tls else ConnectionOutcome.PROTOCOL_ERROR
        return ConnectionTestError(outcome, sentence, advice=advice, next_address=next_address)


def _check_success(reply: aiosmtplib.SMTPResponse) -> None:
    if not is_success(reply.code):
        raise aiosmtplib.SMTPResponseException(reply.code, reply.message)


def _is_challenge(reply: aiosmtplib.SMTPResponse) -> bool:
    return 300 <= reply.code < 400


def _temporary(sentence: str, *, next_address: bool = False) -> ConnectionTestError:
    return ConnectionTestError(
        ConnectionOutcome.TEMPORARY_FAILURE, sentence, next_address=next_address
    )


_NO_SIGN_IN = (
    "Check the host and the port. A host that recognises its clients by their address needs no"
    " credentials: remove them."
)
_NO_MECHANISM = "Postfix signs in with PLAIN or LOGIN only. Let the provider offer one of them."
_ONE_MECHANISM = (
    "Postfix signs in with the first of PLAIN and LOGIN that a server offers, and tries no other."
    " Let the provider offer only what the server supports."
)
_UNREAD_SIGN_IN = (
    "Postfix would send no mail, or without a sign-in. It reads AUTH and its mechanisms, separated"
    f" by spaces, after the first line of the answer to EHLO and within {SMTP_CLIENT.reply_text}"
    " characters. Let the provider correct this."
)
_BAD_CHALLENGE = (
    "Postfix ends the sign-in there (RFC 4954, section 4). Let the provider correct this."
)


def _auth_failed(sentence: str, advice: str | None = None) -> ConnectionTestError:
    return ConnectionTestError(ConnectionOutcome.AUTH_FAILED, sentence, advice=advice)


def _tls_failed(error: ssl.SSLError) -> ConnectionTestError:
    """``error.reason`` is one of OpenSSL's own words; the server has no influence on its text."""
    advice = None
    match error.reason:
        case "WRONG_VERSION_NUMBER" | "HTTP_REQUEST" | "RECORD_LAYER_FAILURE" | "UNKNOWN_PROTOCOL":
            reason_text = "The server's answer to the TLS handshake is not TLS."
            advice = (
                "A port on which the server greets first, such as 587, needs encryption: starttls."
            )
        case "UNSUPPORTED_PROTOCOL" | "TLSV1_ALERT_PROTOCOL_VERSION" | "WRONG_SSL_VERSION":
            reason_text = "The server does not support TLS 1.2 or newer."
        case reason:
            reason_text = f"The TLS handshake failed ({reason or 'no reason given'})."
    return ConnectionTestError(ConnectionOutcome.TLS_FAILED, reason_text, advice=advice)


def _codes(code: int, text: str) -> str:
    """`` (535 5.7.8)``: the reply's code and, if its text begins with one of the same class (RFC
    2034, section 4), the enhanced status code. No other text of the reply is ever shown: so the
    subject and the detail have no more digits than those that are registered (RFC 3463), and a
    password of digits does not fit."""
    enhanced = re.match(r"([245])\.[0-7]\.[0-9]{1,2}(?![^ \n])", text, re.ASCII)
    if enhanced and enhanced[1] == str(code)[0]:
        return f" ({code} {enhanced[0]})"
    return f" ({code})"


def _label(mechanism: Mechanism) -> str:
    return mechanism.value.upper()


def _address_literal(connected: socket.socket) -> str:
    """The argument of EHLO for a client without a name: its address (RFC 5321, section 4.1.4)."""
    address = str(connected.getsockname()[0]).partition("%")[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
