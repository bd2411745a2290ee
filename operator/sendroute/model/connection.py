"""The result of a connection test, and the networks that tests may reach."""

from enum import StrEnum
from typing import ClassVar

from msgspec import Struct

from sendroute.model.credential import Credential
from sendroute.model.desired import AccountKey
from sendroute.model.platform import Platform
from sendroute.model.profile import Profile


class ConnectionOutcome(StrEnum):
    """How a test ended. Only ``OK`` verifies a profile.

    ``CONNECT_FAILED``: refused, unreachable or no answer. ``TLS_FAILED``: also if STARTTLS is not
    offered or is refused. ``AUTH_FAILED``: the sign-in was refused, or client and server share no
    mechanism. ``PROTOCOL_ERROR``: no SMTP or invalid SMTP, a 4xx or 5xx reply before the sign-in,
    or a deadline that passed after connecting. ``ADDRESS_REFUSED``: tests may not reach one of the
    host's addresses.
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


class TestRequest(Struct, frozen=True):
    """A profile to test. ``credential`` is None if the profile has no secret, or the secret does
    not exist."""

    __test__: ClassVar[bool] = False  # for pytest: the name begins with Test, but it is no test

    account: AccountKey
    name: str
    profile: Profile
    credential: Credential | None = None


class TestResult(Struct, frozen=True):
    """``detail`` is one sentence of ours with numbers (reply codes, dates, counts) and the names
    of a certificate: never a server's text. ``seconds`` is the duration of the test."""

    __test__: ClassVar[bool] = False  # for pytest: the name begins with Test, but it is no test

    namespace: str
    profile: str
    outcome: ConnectionOutcome
    detail: str
    seconds: float


class ConnectionPolicy(Struct, frozen=True):
    """MailPlatform ``spec.connectionTest``: the networks that tests may reach besides public
    addresses, and the file of certificate authorities that they trust besides the system's."""

    allow_networks: tuple[str, ...] = ()
    ca_file: str | None = None

    @classmethod
    def of(cls, platform: Platform | None) -> "ConnectionPolicy":
        """The policy of a platform. Without one only public addresses may be reached."""
        return cls() if platform is None else cls(platform.allow_networks, platform.ca_file)
