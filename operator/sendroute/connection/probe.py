"""The test of one profile: its steps in their order, within one deadline."""

import asyncio
import ssl
from collections.abc import Callable

from msgspec import Struct

from sendroute.connection.addresses import Address, Network, why_refused
from sendroute.connection.certificate import complaint, looking
from sendroute.connection.dial import dial
from sendroute.connection.failure import FailureError
from sendroute.connection.resolve import Addresses, Resolver
from sendroute.connection.smtp import CertificateError, Session, Step
from sendroute.model.connection import ConnectionOutcome, TestResult
from sendroute.model.credential import Credential
from sendroute.model.profile import Encryption, Profile
from sendroute.model.tls import is_address, tls_policy

LOOK_PATIENCE = 3.0
"""Seconds for a second look at a certificate that was not accepted."""


class Request(Struct, frozen=True):
    """A profile to test. ``credential`` is None where the profile names no secret, or where the
    secret it names is not there."""

    namespace: str
    name: str
    profile: Profile
    credential: Credential | None = None


class Surroundings(Struct, frozen=True):
    """What all tests of one run share. ``trusted`` raises FailureError where the platform's
    authorities cannot be read."""

    resolver: Resolver
    allowed: tuple[Network, ...]
    trusted: Callable[[], ssl.SSLContext]


async def probe(request: Request, around: Surroundings, deadline: float) -> TestResult:
    """Tests one profile within ``deadline`` seconds. Raises nothing but what cancels it."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    outcome, detail = await _Probe(request, around, deadline).run()
    seconds = round(loop.time() - began, 3)
    return TestResult(request.namespace, request.name, outcome, detail, seconds)


class _Probe:
    def __init__(self, request: Request, around: Surroundings, deadline: float) -> None:
        self._profile = request.profile
        self._credential = request.credential
        self._tls = tls_policy(request.profile)
        self._around = around
        self._deadline = deadline
        self._until = asyncio.get_running_loop().time() + deadline
        self._address: Address | None = None  # connected to
        self._dialing = False
        self._session: Session | None = None

    async def run(self) -> tuple[ConnectionOutcome, str]:
        outcome: ConnectionOutcome | None = None
        try:
            outcome, detail = await self._in_time()
            return outcome, detail
        finally:
            # Outside the deadline's own scope: what was proven is not lost while saying goodbye.
            if self._session is not None:
                in_order = outcome in (ConnectionOutcome.OK, ConnectionOutcome.AUTH_FAILED)
                await self._session.close(politely=in_order, until=self._until)

    async def _in_time(self) -> tuple[ConnectionOutcome, str]:
        try:
            async with asyncio.timeout_at(self._until):
                return ConnectionOutcome.OK, await self._proven()
        except CertificateError as error:
            seen = await self._second_look()
            return error.outcome, complaint(error.code, self._tls.verify or "", seen)
        except FailureError as failure:
            return failure.outcome, failure.detail
        except TimeoutError:
            return self._too_late()

    async def _proven(self) -> str:
        """What was proven, as a sentence."""
        self._fit_to_send()
        context = None if self._tls.mode is Encryption.NONE else self._around.trusted()
        found = await self._around.resolver.addresses(self._profile.host)
        self._all_allowed(found)
        self._dialing = True
        connected, self._address = await dial(found.found, self._profile.port, self._until)
        session = self._session = Session(self._tls, context)
        await session.start(connected)
        await session.greet()
        if self._tls.mode is Encryption.STARTTLS:
            await session.upgrade()
            await session.hello()
        said = "The server answered"
        if self._credential is not None:
            mechanism = await session.sign_in(self._credential)
            said = f"Signed in by {mechanism.value.upper()}"
        version = session.tls_version()
        over = f" over {version.replace('v', ' ')}" if version else " without encryption"
        return f"{said}{over}{_BY_HOSTS if found.from_hosts else ''}."

    def _fit_to_send(self) -> None:
        """The manifests' own checks refuse these too; a credential has two fences."""
        profile, credential = self._profile, self._credential
        if profile.secret is not None and credential is None:
            raise FailureError(
                ConnectionOutcome.SECRET_MISSING, "The profile's secret is not there."
            )
        if credential is None:
            return
        if profile.encryption is Encryption.NONE and not profile.allow_insecure_auth:
            raise FailureError(
                ConnectionOutcome.AUTH_FAILED,
                "The credentials would travel in clear, which the profile does not allow.",
            )
        if is_address(profile.host):
            raise FailureError(
                ConnectionOutcome.AUTH_FAILED,
                "Credentials are sent to a host by name only, and this one is an address.",
            )

    def _all_allowed(self, found: Addresses) -> None:
        refused = [
            kind
            for address in found.found
            if (kind := why_refused(address, self._around.allowed)) is not None
        ]
        if refused:
            many = len(found.found)
            one = "The host's address" if many == 1 else f"One of the host's {many} addresses"
            raise FailureError(
                ConnectionOutcome.ADDRESS_REFUSED,
                f"{one} is {refused[0]}: tests reach such only where the platform's"
                " connectionTest.allowNetworks lists it.",
            )

    async def _second_look(self) -> bytes | None:
        """The certificate that was not accepted, from a second handshake with the same address:
        the ssl module does not show one that it refused. None where that fails."""
        if self._address is None:
            return None
        until = min(self._until, asyncio.get_running_loop().time() + LOOK_PATIENCE)
        session = Session(self._tls, looking())
        try:
            async with asyncio.timeout_at(until):
                connected, _ = await dial((self._address,), self._profile.port, until)
                await session.start(connected)
                if self._tls.mode is Encryption.STARTTLS:
                    await session.greet()
                    await session.upgrade()
                return session.seen_certificate()
        except (FailureError, TimeoutError):
            return None
        finally:
            await session.close(politely=False, until=until)

    def _too_late(self) -> tuple[ConnectionOutcome, str]:
        within = f"within {self._deadline:g} seconds"
        if self._session is not None:
            step = self._session.step
            late = f"The server did not finish {step} {within}"
            if step is Step.GREETING and self._tls.mode is not Encryption.TLS:
                late += (
                    "; a port that speaks TLS from the start, such as 465, needs encryption: tls"
                )
            return ConnectionOutcome.PROTOCOL_ERROR, f"{late}."
        if self._dialing:
            return ConnectionOutcome.CONNECT_FAILED, f"The host did not answer {within}."
        return ConnectionOutcome.DNS_FAILED, f"The host's addresses were not found {within}."


_BY_HOSTS = ", at an address of this machine's hosts file, which mail delivery by DNS does not read"
