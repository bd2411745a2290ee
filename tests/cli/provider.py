"""A provider's SMTP server on loopback: STARTTLS with an authority of its own, and sign-in."""

import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword


class Provider:
    """``users`` are accepted; ``seen`` are the passwords that were offered, by anyone."""

    host = "localhost"

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.ca_file = folder / "provider-ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(self.host).configure_cert(context)
        self.users: dict[str, str] = {}
        self.seen: list[str] = []
        self.on_sign_in: Callable[[], None] = lambda: None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._controller = Controller(
            object(),
            hostname="127.0.0.1",
            port=self.port,
            tls_context=context,
            require_starttls=True,
            authenticator=self._authenticate,
        )
        self._controller.start()

    def _authenticate(self, *words: Any) -> AuthResult:
        given = words[-1]
        assert isinstance(given, LoginPassword)
        self.seen.append(given.password.decode())
        self.on_sign_in()
        good = self.users.get(given.login.decode()) == given.password.decode()
        return AuthResult(success=good, handled=good)

    def close(self) -> None:
        self._controller.stop()
