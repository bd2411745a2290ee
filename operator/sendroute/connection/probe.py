"""The test of one profile: its steps in order, within one deadline."""

import asyncio
import ssl
from collections.abc import Callable

from msgspec import Struct

from sendroute.connection.addresses import Address, Network, why_refused
from sendroute.connection.certificate import rejection, unverified_context
from sendroute.connection.dial import dial
from sendroute.connection.failure import ConnectionTestError
from sendroute.connection.resolve import Addresses, Resolver
from sendroute.connection.smtp import CertificateError, SmtpSession, SmtpStep
from sendroute.model.connection import ConnectionOutcome, TestRequest, TestResult
from sendroute.model.profile import Encryption
from sendroute.model.tls import is_address, tls_policy

INSPECTION_TIMEOUT = 3.0
"""Seconds for the second handshake that inspects a rejected certificate."""


class Environment(Struct, frozen=True):
    """What all tests of one run share. ``trusted`` raises ConnectionTestError if the platform's
    authorities cannot be read."""

    resolver: Resolver
    allowed: tuple[Network, ...]
    trusted: Callable[[], ssl.SSLContext]


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
    outcome, detail = await _Probe(request, environment, deadline).run()
    seconds = round(loop.time() - started, 3)
    return TestResult(request.account.namespace, request.name, outcome, detail, seconds)


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

    async def run(self) -> tuple[ConnectionOutcome, str]:
        outcome: ConnectionOutcome | None = None
        try:
            outcome, detail = await self._within_deadline()
            return outcome, detail
        finally:
            # Outside the deadline's scope: QUIT must not change the outcome.
            if self._session is not None:
                in_order = outcome in (ConnectionOutcome.OK, ConnectionOutcome.AUTH_FAILED)
                await self._session.close(politely=in_order, until=self._until)

    async def _within_deadline(self) -> tuple[ConnectionOutcome, str]:
        try:
            async with asyncio.timeout_at(self._until):
                return ConnectionOutcome.OK, await self._succeed()
        except CertificateError as error:
            seen = await self._inspect_certificate()
            return error.outcome, rejection(error.code, self._tls.verify or "", seen)
        except ConnectionTestError as failure:
            return failure.outcome, failure.detail
        except TimeoutError:
            return self._timed_out()

    async def _succeed(self) -> str:
        """Run all steps. Returns a sentence about the success."""
        self._check_credential()
        context = None if self._tls.mode is Encryption.NONE else self._environment.trusted()
        resolved = await self._environment.resolver.addresses(self._profile.host)
        self._check_addresses(resolved)
        self._dialing = True
        connected, self._address = await dial(resolved.addresses, self._profile.port, self._until)
        session = self._session = SmtpSession(self._tls, context)
        await session.start(connected)
        await session.greet()
        if self._tls.mode is Encryption.STARTTLS:
            await session.upgrade()
            await session.hello()
        success = "The server answered"
        if self._credential is not None:
            mechanism = await session.sign_in(self._credential)
            success = f"Signed in with {mechanism.value.upper()}"
        version = session.tls_version()
        over = f" over {version.replace('v', ' ')}" if version else " without encryption"
        return f"{success}{over}{_FROM_HOSTS_FILE if resolved.from_hosts else ''}."

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

    async def _inspect_certificate(self) -> bytes | None:
        """Get the rejected certificate from a second handshake with the same address: the ssl
        module does not show one that it rejects. None if that fails."""
        if self._address is None:
            return None
        until = min(self._until, asyncio.get_running_loop().time() + INSPECTION_TIMEOUT)
        session = SmtpSession(self._tls, unverified_context())
        try:
            async with asyncio.timeout_at(until):
                connected, _ = await dial((self._address,), self._profile.port, until)
                await session.start(connected)
                if self._tls.mode is Encryption.STARTTLS:
                    await session.greet()
                    await session.upgrade()
                return session.seen_certificate()
        except (ConnectionTestError, TimeoutError):
            return None
        finally:
            await session.close(politely=False, until=until)

    def _timed_out(self) -> tuple[ConnectionOutcome, str]:
        within = f"within {self._deadline:g} seconds"
        if self._session is not None:
            step = self._session.step
            message = f"The server did not finish {step} {within}"
            if step is SmtpStep.GREETING and self._tls.mode is not Encryption.TLS:
                message += (
                    "; a port that speaks TLS from the start, such as 465, needs encryption: tls"
                )
            return ConnectionOutcome.PROTOCOL_ERROR, f"{message}."
        if self._dialing:
            return ConnectionOutcome.CONNECT_FAILED, f"The host did not answer {within}."
        return ConnectionOutcome.DNS_FAILED, f"The host name was not resolved {within}."


_FROM_HOSTS_FILE = (
    ", at an address from the local hosts file, which Postfix does not read when it uses DNS"
)
