"""Pretend providers: SMTP servers with certificates of their own that record what they receive."""

import asyncio
import re
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

Context = ssl.SSLContext


@dataclass(frozen=True)
class Received:
    """One message. ``server_name`` is the name in the client's handshake, None without TLS."""

    sender: str
    recipients: tuple[str, ...]
    user: str | None
    server_name: str | None
    content: str

    @property
    def queue_id(self) -> str:
        """Its name in the queue of the Postfix that sent it (in its Received field)."""
        match = re.search(r"with E?SMTP\w* id (\w+)", self.content)
        assert match is not None, self.content
        return match[1]

    @property
    def subject(self) -> str:
        """What identifies the message in a test."""
        lines = self.content.splitlines()
        return next(line[9:] for line in lines if line.startswith("Subject: "))


@dataclass
class Provider:
    """A host with its ports. ``users`` are its users and passwords; without any nobody signs in.

    ``reply`` replaces the answer to a message, ``delay`` the seconds before it. ``attempts`` are
    the users and passwords that were offered, right or wrong.
    """

    host: str
    address: str
    users: dict[str, str] = field(default_factory=dict)
    reply: str | None = None
    delay: float = 0.0
    received: list[Received] = field(default_factory=list)
    attempts: list[tuple[str, str]] = field(default_factory=list)

    @property
    def subjects(self) -> Counter[str]:
        """How often each message was received."""
        return Counter(message.subject for message in list(self.received))

    def authenticate(
        self, _server: SMTP, session: Session, _envelope: Envelope, _mechanism: str, data: object
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        user, password = data.login.decode(), data.password.decode()
        self.attempts.append((user, password))
        if self.users.get(user) != password:
            return AuthResult(success=False, handled=False)
        session.user = user
        return AuthResult(success=True)

    async def handle_MAIL(  # noqa: N802
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.users and getattr(session, "user", None) is None:
            return "530 5.7.0 Sign in first"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 fine"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.reply is not None:
            return self.reply
        secured = server.transport.get_extra_info("ssl_object")
        self.received.append(
            Received(
                (envelope.mail_from or "").removeprefix("<>"),
                tuple(envelope.rcpt_tos),
                getattr(session, "user", None),
                getattr(secured, "requested_name", None),
                (envelope.content or b"").decode(errors="replace"),  # type: ignore[union-attr]
            )
        )
        return "250 2.0.0 taken"


class Providers:
    """Runs providers on loopback, in one thread, until it is stopped."""

    def __init__(self) -> None:
        self.authority = trustme.CA()
        self.hosts: dict[str, Provider] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._servers: list[asyncio.Server] = []

    def start(
        self,
        provider: Provider,
        *,
        none: int | None = None,
        starttls: int | None = None,
        tls: int | None = None,
        certificate: str | None = None,
    ) -> Provider:
        """Listen on a port for each way of encryption. ``certificate`` is the name in the
        certificate, the host's unless given."""
        self.hosts[provider.host] = provider
        context = self._context(certificate or provider.host)

        def session(**options: Any) -> Callable[[], SMTP]:
            return lambda: SMTP(
                provider,
                hostname=provider.host,
                enable_SMTPUTF8=True,
                authenticator=provider.authenticate,
                loop=self._loop,
                **options,
            )

        async def listen() -> None:
            for port, options, implicit in (
                (none, {"auth_require_tls": False}, None),
                (starttls, {"tls_context": context, "require_starttls": True}, None),
                (tls, {"auth_require_tls": False}, context),
            ):
                if port is not None:
                    server = await self._loop.create_server(
                        session(**options), provider.address, port, ssl=implicit, backlog=1000
                    )
                    self._servers.append(server)

        self._run(listen()).result(20)
        return provider

    def stop(self) -> None:
        async def close() -> None:
            for server in self._servers:
                server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self._run(close()).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> "Future[None]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _context(self, name: str) -> Context:
        context = Context(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(name).configure_cert(context)

        def note(secured: Any, requested: str | None, _context: Context) -> None:
            secured.requested_name = requested

        context.sni_callback = note
        return context
