"""The test of one profile: its steps in order, within one deadline."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import NamedTuple

from msgspec import Struct

from sendroute.connection.addresses import Address, Network, why_refused
from sendroute.connection.certificate import CertificateChain, rejection, unverified_context
from sendroute.connection.dial import DialError, dial
from sendroute.connection.failure import ConnectionTestError
from sendroute.connection.resolve import Addresses, Resolver
from sendroute.connection.smtp import CertificateError, SmtpSession, SmtpStep
from sendroute.model.connection import ConnectionOutcome, TestRequest, TestResult
from sendroute.model.profile import Encryption
from sendroute.model.providers import speaks_tls_at_once, username_rule
from sendroute.model.smtp_client import SMTP_CLIENT, is_address, tls_policy

INSPECTION_TIMEOUT = 3.0
"""Seconds for the second handshake that inspects a rejected certificate."""


class Environment(Struct, frozen=True):
    """What all tests of one run share. ``trusted`` raises ConnectionTestError if the platform's
    authorities cannot be read. ``name`` is the name for EHLO; None for the client's address."""

    resolver: Resolver
    allowed: tuple[Network, ...]
    trusted: Callable[[], ssl.SSLContext]
    name: str | None


class ProbeResult(NamedTuple):
    outcome: ConnectionOutcome
    detail: str
    advice: str | None = None


async def probe(request: TestRequest, environment: Environment, deadline: float) -> TestResult:
    """Test one profile.

    Args:
        request: the profile and its credential.
        environment: the resolver, the allowed networks and the trusted authorities.
        deadline: seconds for the whole test.

    Returns:
        The result; every failure is a result. Only a cancellation is raised.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    result = await _Probe(request, environment, deadline).run()
    seconds = round(loop.time() - started, 3)
    return TestResult(
        request.account.namespace,
        request.name,
        result.outcome,
        result.detail,
        seconds,
        result.advice,
    )


class _Probe:
    def __init__(self, request: TestRequest, environment: Environment, deadline: float) -> None:
        self._profile = request.profile
        self._credential = request.credential
        self._tls = tls_policy(request.profile)
        self._environment = environment
        self._deadline = deadline
        self._until = asyncio.get_running_loop().time() + deadline
        self._address: Address | None = None  # the connected one
        self._dialing = False
        self._session: SmtpSession | None = None

    async def run(self) -> ProbeResult:
        result: ProbeResult | None = None
        try:
            result = await self._within_deadline()
            return result
        finally:
            # Outside the deadline's scope: QUIT must not change the outcome.
            if self._session is not None:
                in_order = result is not None and result.outcome in _SERVER_IS_FINE
                await self._session.close(politely=in_order, until=self._until)

    async def _within_deadline(self) -> ProbeResult:
        try:
            async with asyncio.timeout_at(self._until):
                return await self._succeed()
        except CertificateError as error:
            chain = await self._inspect_certificate()
            return ProbeResult(error.outcome, *rejection(error.code, self._tls.verify or "", chain))
        except ConnectionTestError as failure:
            outcome = failure.outcome
            advice = self._advice(outcome) or failure.advice or self._username_rule(outcome)
            return ProbeResult(outcome, failure.detail, advice)
        except TimeoutError:
            return self._timed_out()

    async def _succeed(self) -> ProbeResult:
        """Run all steps. The detail is a sentence about the success."""
        self._check_credential()
        context = None if self._tls.mode is Encryption.NONE else self._environment.trusted()
        resolved = await self._environment.resolver.addresses(self._profile.host)
        self._check_addresses(resolved)
        self._dialing = True
        session = await self._open(resolved.addresses, context)
        success = "The server answered"
        if self._credential is not None:
            mechanism = await session.sign_in(self._credential)
            success = f"Signed in with {mechanism.value.upper()}"
        version = session.tls_version()
        over = f" over {version.replace('v', ' ')}" if version else " without encryption"
        detail = f"{success}{over}{_FROM_HOSTS_FILE if resolved.from_hosts else ''}."
        return ProbeResult(ConnectionOutcome.OK, detail, self._advice(ConnectionOutcome.OK))

    async def _open(
        self, addresses: Sequence[Address], context: ssl.SSLContext | None
    ) -> SmtpSession:
        """Connect to the first address whose server is ready for the sign-in.

        Each address gets an equal share of the remaining time to accept the connection, so that a
        silent one leaves time for the next. A server's greeting may take all of the time.

        Raises:
            ConnectionTestError: no server is ready, or one fails in a way that the others would
                not change.
        """
        loop = asyncio.get_running_loop()
        tried = addresses[: SMTP_CLIENT.max_addresses]
        unreached: list[str] = []
        failures: list[ConnectionTestError] = []
        for index, address in enumerate(tried):
            share = (self._until - loop.time()) / (len(tried) - index)
            try:
                connected = await dial(address, self._profile.port, share)
            except DialError as error:
                unreached.append(str(error))
                continue
            try:
                self._address = address
                return await self._ready(connected, context)
            except ConnectionTestError as failure:
                if not failure.next_address or index == len(tried) - 1:
                    raise
                failures.append(failure)
                await self._leave()
        if failures:
            raise failures[-1]
        reason = " or ".join(dict.fromkeys(unreached))
        count = f" ({len(tried)} addresses tried)" if len(tried) > 1 else ""
        raise ConnectionTestError(
            ConnectionOutcome.CONNECT_FAILED,
            f"The host {reason} on port {self._profile.port}{count}.",
        )

    async def _ready(self, connected: socket.socket, context: ssl.SSLContext | None) -> SmtpSession:
        """Everything before the sign-in: greeting, EHLO, TLS."""
        signs_in = self._credential is not None
        name = self._environment.name
        session = self._session = SmtpSession(self._tls, context, name, signs_in=signs_in)
        await session.start(connected)
        await session.greet()
        if self._tls.mode is Encryption.STARTTLS:
            await session.upgrade()
            await session.hello()
        return session

    async def _leave(self) -> None:
        if self._session is not None:
            await self._session.close(politely=False, until=self._until)
            self._session = None

    def _check_credential(self) -> None:
        """Check the rules for credentials. Reading manifests checks them too: credentials are
        protected twice."""
        profile, credential = self._profile, self._credential
        if profile.secret is not None and credential is None:
            raise ConnectionTestError(
                ConnectionOutcome.SECRET_MISSING, "The profile's secret does not exist."
            )
        if credential is None:
            return
        if profile.encryption is Encryption.NONE and not profile.allow_insecure_auth:
            raise ConnectionTestError(
                ConnectionOutcome.AUTH_FAILED,
                "The profile does not allow sending credentials without encryption.",
            )
        if is_address(profile.host):
            raise ConnectionTestError(
                ConnectionOutcome.AUTH_FAILED,
                f"Credentials are sent only to a host name, and {profile.host} is an IP address.",
            )

    def _check_addresses(self, resolved: Addresses) -> None:
        refused = [
            kind
            for address in resolved.addresses
            if (kind := why_refused(address, self._environment.allowed)) is not None
        ]
        if refused:
            count = len(resolved.addresses)
            subject = "The host's address" if count == 1 else f"One of the host's {count} addresses"
            raise ConnectionTestError(
                ConnectionOutcome.ADDRESS_REFUSED,
                f"{subject} is {refused[0]}. Tests connect to it only if the platform's"
                " connectionTest.allowNetworks lists it.",
            )

    async def _inspect_certificate(self) -> CertificateChain:
        """Get the rejected certificates from a second handshake with the same address: the ssl
        module does not show what it rejects. They are unavailable if that fails."""
        if self._address is None:
            return CertificateChain()
        until = min(self._until, asyncio.get_running_loop().time() + INSPECTION_TIMEOUT)
        name = self._environment.name
        session = SmtpSession(self._tls, unverified_context(), name, signs_in=False)
        try:
            async with asyncio.timeout_at(until):
                connected = await dial(self._address, self._profile.port, INSPECTION_TIMEOUT)
                await session.start(connected)
                if self._tls.mode is Encryption.STARTTLS:
                    await session.greet()
                    await session.upgrade()
                return session.seen_chain()
        except (ConnectionTestError, DialError, TimeoutError):
            return CertificateChain()
        finally:
            await session.close(politely=False, until=until)

    def _timed_out(self) -> ProbeResult:
        within = f"within {self._deadline:g} seconds"
        if self._session is not None:
            detail = f"The server did not finish {self._session.step} {within}."
            outcome = ConnectionOutcome.PROTOCOL_ERROR
            return ProbeResult(outcome, detail, self._advice(outcome) or self._patience())
        if self._dialing:
            outcome, detail = ConnectionOutcome.CONNECT_FAILED, f"The host did not answer {within}."
            return ProbeResult(outcome, detail)
        detail = f"The host name was not resolved {within}."
        return ProbeResult(ConnectionOutcome.DNS_FAILED, detail)

    def _patience(self) -> str:
        """What may help with a server that is too slow, or waits for TLS on a port of its own."""
        session, profile = self._session, self._profile
        silent = session is not None and not session.heard
        if not silent or self._tls.mode is Encryption.TLS:
            return _MORE_TIME
        unknown = speaks_tls_at_once(profile.provider, profile.port) is None
        return f"{_TLS_AT_ONCE} {_MORE_TIME}" if unknown else _MORE_TIME

    def _advice(self, outcome: ConnectionOutcome) -> str | None:
        """What the user should change, as far as the session and the port show it."""
        session, profile = self._session, self._profile
        if session is None:
            return None
        mode, port = self._tls.mode, profile.port
        if mode is Encryption.NONE and session.offers_starttls:
            return "The server offers STARTTLS. Set encryption: starttls."
        speaks_tls = speaks_tls_at_once(profile.provider, port)
        if speaks_tls and mode is not Encryption.TLS and not session.heard:
            return f"Port {port} is for TLS from the first byte. Set encryption: tls."
        waits = session.step is SmtpStep.HANDSHAKE and outcome is not ConnectionOutcome.OK
        if speaks_tls is False and mode is Encryption.TLS and waits:
            return f"Port {port} is for STARTTLS. Set encryption: starttls."
        return None

    def _username_rule(self, outcome: ConnectionOutcome) -> str | None:
        """What the provider expects as username, if the server rejected the sign-in."""
        rejected = outcome is ConnectionOutcome.AUTH_FAILED
        if rejected and self._session is not None and self._session.step is SmtpStep.AUTH:
            return username_rule(self._profile.provider)
        return None


_SERVER_IS_FINE = (
    ConnectionOutcome.OK,
    ConnectionOutcome.AUTH_FAILED,
    ConnectionOutcome.TEMPORARY_FAILURE,
)

_TLS_AT_ONCE = "A port on which the client begins with TLS, such as 465, needs encryption: tls."
_MORE_TIME = (
    "If the server is only slow, give tests more time: connectionTest.timeout of the platform."
)

_FROM_HOSTS_FILE = (
    ", at an address from the local hosts file, which Postfix does not read when it uses DNS"
)
