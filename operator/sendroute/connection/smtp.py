"""One conversation with a server: TLS, greeting, EHLO, STARTTLS, AUTH, QUIT. No message is sent.

aiosmtplib speaks the verbs, step by step: its ``connect`` would sign in without TLS where STARTTLS
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

from sendroute.connection.failure import FailureError
from sendroute.connection.replies import Replies
from sendroute.model.connection import ConnectionOutcome
from sendroute.model.credential import Credential
from sendroute.model.profile import Encryption
from sendroute.model.tls import TlsPolicy

QUIT_PATIENCE = 1.0
"""Seconds that the server has to answer QUIT; the test's end is known by then."""


class Step(StrEnum):
    """Where a conversation is."""

    HANDSHAKE = "the TLS handshake"
    GREETING = "the greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"


class Mechanism(StrEnum):
    PLAIN = "plain"
    LOGIN = "login"
    CRAM_MD5 = "cram-md5"


IN_TLS = (Mechanism.PLAIN, Mechanism.LOGIN, Mechanism.CRAM_MD5)
IN_CLEAR = (Mechanism.CRAM_MD5, Mechanism.PLAIN, Mechanism.LOGIN)
"""In clear the one that does not show the password comes first."""


class CertificateError(FailureError):
    """``code`` is OpenSSL's verification error."""

    def __init__(self, code: int) -> None:
        super().__init__(ConnectionOutcome.TLS_FAILED, "The server's certificate was not accepted.")
        self.code = code


class Session:
    """Its methods are called in the order they stand here; each raises FailureError, and then only
    ``close`` is left. ``step`` tells how far it came. It takes the connected socket over."""

    def __init__(self, tls: TlsPolicy, context: ssl.SSLContext | None) -> None:
        self.step = Step.GREETING
        self._tls = tls
        self._context = context
        self._replies = Replies()
        self._smtp = aiosmtplib.SMTP(start_tls=False, timeout=None)

    async def start(self, connected: socket.socket) -> None:
        """Takes the socket; in TLS from the first byte where the policy says so."""
        in_tls = self._tls.mode is Encryption.TLS
        with self._at(Step.HANDSHAKE if in_tls else Step.GREETING):
            self._smtp.local_hostname = _own_literal(connected)
            transport, _ = await asyncio.get_running_loop().create_connection(
                lambda: self._replies,
                sock=connected,
                ssl=self._context if in_tls else None,
                server_hostname=self._tls.verify if in_tls else None,
            )
            self._smtp.protocol, self._smtp.transport = self._replies, transport

    async def greet(self) -> None:
        with self._at(Step.GREETING):
            greeting = await self._replies.read_response()
            if greeting.code != 220:
                raise aiosmtplib.SMTPResponseException(greeting.code, greeting.message)
        await self.hello()

    async def hello(self) -> None:
        with self._at(Step.EHLO):
            await self._smtp.ehlo()

    async def upgrade(self) -> None:
        """STARTTLS. What the server said of itself before is forgotten (RFC 3207, 4.2)."""
        with self._at(Step.STARTTLS):
            if not self._smtp.supports_extension("starttls"):
                raise self._failed("The server does not offer STARTTLS.")
            await self._smtp.starttls(tls_context=self._context, server_hostname=self._tls.verify)

    async def sign_in(self, credential: Credential) -> Mechanism:
        """By the first mechanism that both know; by the next only where the server answers that
        it does not know it after all (504, RFC 4954, 4), so that one test is one failed sign-in.
        """
        if self._tls.mode is not Encryption.NONE and self._ssl_object() is None:
            raise AssertionError("signing in before the TLS that the policy asks for")
        mechanism, *others = self._common()
        reply = await self._attempt(mechanism, credential)
        while reply.code == 504 and others and self._smtp.is_connected:
            mechanism = others.pop(0)
            reply = await self._attempt(mechanism, credential)
        if reply.code == 235:
            return mechanism
        numbers = _numbers(reply.code, reply.message)
        if 400 <= reply.code < 600:
            raise _auth_failed(f"The server refused the sign-in by {_said(mechanism)}{numbers}.")
        raise FailureError(
            ConnectionOutcome.PROTOCOL_ERROR,
            f"The server's reply is no answer to AUTH {_said(mechanism)}{numbers}.",
        )

    async def close(self, *, politely: bool, until: float) -> None:
        """QUIT where the conversation is in order, then the end of the connection. Never raises,
        and not past the loop time ``until``."""
        if politely and self._smtp.is_connected:
            patience = asyncio.get_running_loop().time() + QUIT_PATIENCE
            try:
                async with asyncio.timeout_at(min(patience, until)):
                    await self._smtp.quit()
            except (aiosmtplib.SMTPException, OSError):
                pass  # the test's end is known; TimeoutError is an OSError
        if self._replies.transport is not None:
            self._replies.transport.abort()  # type: ignore[attr-defined]

    def seen_certificate(self) -> bytes | None:
        found = self._ssl_object()
        return found.getpeercert(binary_form=True) if found else None

    def tls_version(self) -> str | None:
        found = self._ssl_object()
        return found.version() if found else None

    def _ssl_object(self) -> ssl.SSLObject | None:
        transport = self._replies.transport
        found = transport.get_extra_info("ssl_object") if transport else None
        return found if isinstance(found, ssl.SSLObject) else None

    def _common(self) -> list[Mechanism]:
        order = IN_CLEAR if self._tls.mode is Encryption.NONE else IN_TLS
        offered = self._smtp.server_auth_methods
        common = [mechanism for mechanism in order if mechanism.value in offered]
        if common:
            return common
        if not offered:
            raise _auth_failed("The server offers no sign-in (AUTH).")
        ours = ", ".join(map(_said, order))
        raise _auth_failed(f"The server offers none of the mechanisms {ours}.")

    async def _attempt(
        self, mechanism: Mechanism, credential: Credential
    ) -> aiosmtplib.SMTPResponse:
        with self._at(Step.AUTH):
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
            except UnicodeEncodeError:  # it holds the password
                raise _auth_failed("The username or password is not Unicode text.") from None
            except ValueError:  # hmac's, where the system's policy (FIPS 140) forbids MD5
                raise _auth_failed("This machine has no MD5, which CRAM-MD5 needs.") from None

    async def _login(self, credential: Credential) -> aiosmtplib.SMTPResponse:
        """The username is sent when it is asked for. aiosmtplib's own sends it with AUTH; a server
        that overlooks it there asks again, and would be given the password for a username."""
        reply = await self._smtp.execute_command(b"AUTH", b"LOGIN")
        for answer in auth_login_encode(credential.username, credential.password):
            if reply.code != 334:
                break
            reply = await self._smtp.execute_command(answer)
        return reply

    @contextmanager
    def _at(self, step: Step) -> Iterator[None]:
        """Turns every error of a step into our own words. The libraries' are left behind: their
        texts are the server's."""
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

    def _refused(self, code: int, text: str) -> FailureError:
        what = "greeted with a refusal" if self.step is Step.GREETING else f"refused {self.step}"
        return self._failed(f"The server {what}{_numbers(code, text)}.")

    def _lost(self, error: Exception) -> FailureError:
        """The connection is gone: by us, for something was wrong, by TLS, or by the server."""
        lost = self._replies.lost or error.__cause__
        if self._replies.wrong:
            return self._failed(f"The server {self._replies.wrong}, at {self.step}.")
        if isinstance(lost, ssl.SSLError):
            return _tls_failed(lost)  # such as a client certificate that is asked for
        return self._failed(f"The server closed the connection at {self.step}.")

    def _failed(self, sentence: str) -> FailureError:
        in_tls = self.step in (Step.HANDSHAKE, Step.STARTTLS)
        outcome = ConnectionOutcome.TLS_FAILED if in_tls else ConnectionOutcome.PROTOCOL_ERROR
        return FailureError(outcome, sentence)


def _auth_failed(sentence: str) -> FailureError:
    return FailureError(ConnectionOutcome.AUTH_FAILED, sentence)


def _tls_failed(error: ssl.SSLError) -> FailureError:
    """``error.reason`` is a word of OpenSSL's own list, which the server chooses from at most."""
    match error.reason:
        case "WRONG_VERSION_NUMBER" | "HTTP_REQUEST" | "RECORD_LAYER_FAILURE" | "UNKNOWN_PROTOCOL":
            why = (
                "The server answered the TLS handshake with something that is no TLS;"
                " a port that greets first, such as 587, needs encryption: starttls."
            )
        case "UNSUPPORTED_PROTOCOL" | "TLSV1_ALERT_PROTOCOL_VERSION" | "WRONG_SSL_VERSION":
            why = "The server does not speak TLS 1.2 or newer."
        case reason:
            why = f"The TLS handshake failed ({reason or 'no reason given'})."
    return FailureError(ConnectionOutcome.TLS_FAILED, why)


def _numbers(code: int, text: str) -> str:
    """`` (535 5.7.8)``: the reply's code and, where its text begins with one of the same class
    (RFC 2034, 4), its enhanced status code. No more of the text is ever shown."""
    enhanced = re.match(r"([245])\.[0-9]{1,3}\.[0-9]{1,3}(?![^ \n])", text, re.ASCII)
    if enhanced and enhanced[1] == str(code)[0]:
        return f" ({code} {enhanced[0]})"
    return f" ({code})"


def _said(mechanism: Mechanism) -> str:
    return mechanism.value.upper()


def _own_literal(connected: socket.socket) -> str:
    """What EHLO names us by: our end's address, as RFC 5321, 4.1.4 has it for a client without a
    name of its own. Looking one up would be a second question to DNS, and a slow one."""
    own = str(connected.getsockname()[0]).partition("%")[0]
    return f"[IPv6:{own}]" if ":" in own else f"[{own}]"
