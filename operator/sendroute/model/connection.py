"""What a connection test found, and what it may reach."""

from enum import StrEnum
from typing import ClassVar

from msgspec import Struct

from sendroute.model.platform import Platform


class ConnectionOutcome(StrEnum):
    """A test's end, one word. Only ``OK`` proves a profile.

    ``CONNECT_FAILED``: refused, unreachable, no answer. ``TLS_FAILED``: STARTTLS not offered or
    refused included. ``AUTH_FAILED``: the sign-in was refused, or no mechanism is common.
    ``PROTOCOL_ERROR``: no or wrong SMTP, a 4xx or 5xx reply before the sign-in, or the deadline
    passed once connected. ``ADDRESS_REFUSED``: one of the host's addresses may not be reached.
    """

    OK = "ok"
    DNS_FAILED = "dns-failed"
    CONNECT_FAILED = "connect-failed"
    TLS_FAILED = "tls-failed"
    AUTH_FAILED = "auth-failed"
    PROTOCOL_ERROR = "protocol-error"
    ADDRESS_REFUSED = "address-refused"
    SECRET_MISSING = "secret-missing"  # noqa: S105 (a word of the outcome, no secret)
    SECRET_NOT_BOUND = "secret-not-bound"  # noqa: S105


class TestResult(Struct, frozen=True):
    """``detail`` is one sentence in our own words with numbers (reply codes, dates, counts) and,
    of a certificate, its names: never a server's text. ``seconds`` is how long the test took."""

    __test__: ClassVar[bool] = False  # pytest: its name begins with Test, but it is none

    namespace: str
    profile: str
    outcome: ConnectionOutcome
    detail: str
    seconds: float


class ConnectionPolicy(Struct, frozen=True):
    """What tests may reach besides public addresses, and the authorities they trust besides the
    system's: MailPlatform ``spec.connectionTest``."""

    allow_networks: tuple[str, ...] = ()
    ca_file: str | None = None

    @classmethod
    def of(cls, platform: Platform) -> "ConnectionPolicy":
        return cls(platform.allow_networks, platform.ca_file)
