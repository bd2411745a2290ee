"""A provider's SMTP server on loopback: STARTTLS with a private CA, and authentication."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from tests.private_server import free_port


class Provider:
    """``users`` can authenticate; ``offered_passwords`` are those that any client has sent."""

    host = "localhost"

    def __init__(self, directory: Path) -> None:
        authority = trustme.CA()
        self.ca_file = directory / "provider-ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(self.host).configure_cert(context)
        self.users: dict[str, str] = {}
        self.offered_passwords: list[str] = []
        self.on_sign_in: Callable[[], None] = lambda: None
        self.port = free_port()
        self._controller = Controller(
            object(),
            hostname="127.0.0.1",
            port=self.port,
            tls_context=context,
            require_starttls=True,
            authenticator=self._authenticate,
        )
        self._controller.start()

    def _authenticate(self, *arguments: Any) -> AuthResult:
        offered = arguments[-1]
        assert isinstance(offered, LoginPassword)
        self.offered_passwords.append(offered.password.decode())
        self.on_sign_in()
        accepted = self.users.get(offered.login.decode()) == offered.password.decode()
        return AuthResult(success=accepted, handled=accepted)

    def close(self) -> None:
        self._controller.stop()
