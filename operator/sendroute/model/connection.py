"""The result of a connection test, and the networks that tests may reach."""

from enum import StrEnum
from typing import ClassVar

from msgspec import Struct

from sendroute.model.credential import Credential
from sendroute.model.desired import AccountKey
from sendroute.model.platform import Platform
from sendroute.model.profile import Profile
from sendroute.model.smtp_client import SMTP_CLIENT


class ConnectionOutcome(StrEnum):
    """How a test ended. Only ``OK`` verifies a profile.

    ``TEMPORARY_FAILURE``: a 4xx reply at any step; neither the profile nor its secret is known to
    be wrong (RFC 5321, section 4.2.1; RFC 4954, section 6). ``CONNECT_FAILED``: refused,
    unreachable or no answer. ``TLS_FAILED``: also if STARTTLS is not offered or is refused.
    ``AUTH_FAILED``: the sign-in was refused, or client and server share no mechanism.
    ``PROTOCOL_ERROR``: no SMTP or invalid SMTP, a 5xx reply before the sign-in, or a deadline that
    passed after connecting. ``ADDRESS_REFUSED``: tests may not reach one of the host's addresses.
    """

    OK = "ok"
    TEMPORARY_FAILURE = "temporary-failure"
    DNS_FAILED = "dns-failed"
    CONNECT_FAILED = "connect-failed"
    TLS_FAILED = "tls-failed"
    AUTH_FAILED = "auth-failed"
    PROTOCOL_ERROR = "protocol-error"
    ADDRESS_REFUSED = "address-refused"
    SECRET_MISSING = "secret-missing"  # noqa: S105 (a word of the outcome, no secret)
    SECRET_NOT_BOUND = "secret-not-bound"  # noqa: S105
    CREDENTIAL_UNREADABLE = "credential-unreadable"


class TestRequest(Struct, frozen=True):
    """A profile to test. ``credential`` is None if the profile has no secret, or the secret does
    not exist."""

    __test__: ClassVar[bool] = False  # for pytest: the name begins with Test, but it is no test

    account: AccountKey
    name: str
    profile: Profile
    credential: Credential | None = None


class TestResult(Struct, frozen=True):
    """``detail`` is a sentence of ours with numbers (reply codes, dates, counts) and the names of a
    certificate: never a server's text. ``seconds`` is the duration of the test. ``advice`` is the
    next step that follows from what was seen; None if nothing in particular does."""

    __test__: ClassVar[bool] = False  # for pytest: the name begins with Test, but it is no test

    namespace: str
    profile: str
    outcome: ConnectionOutcome
    detail: str
    seconds: float
    advice: str | None = None


class ConnectionPolicy(Struct, frozen=True):
    """What the MailPlatform says of connection tests: the networks that they may reach besides
    public addresses, the file of certificate authorities that they trust besides the system's, the
    seconds of each test, and the name for EHLO. ``helo_name`` is None for the machine's own name,
    and ``managed_host`` replaces that if the machine has none. ``lacks_manifest``: the caFile is
    relative to a manifest that was not given, so it is read in the working directory."""

    allow_networks: tuple[str, ...] = ()
    ca_file: str | None = None
    timeout: float = SMTP_CLIENT.timeout
    helo_name: str | None = None
    managed_host: str | None = None
    lacks_manifest: bool = False

    @classmethod
    def of(cls, platform: Platform | None, manifest: str = "") -> "ConnectionPolicy":
        """The policy of a platform.

        Args:
            platform: the platform; without one only public addresses may be reached.
            manifest: the file of its manifest, to whose directory a relative caFile is relative. If
                it is unknown, a relative caFile is relative to the working directory.

        Returns:
            The policy.
        """
        if platform is None:
            return cls()
        ca_file = platform.ca_file
        lacks_manifest = False
        if ca_file is not None and not ca_file.startswith("/"):
            directory, slash, _ = manifest.rpartition("/")
            ca_file, lacks_manifest = directory + slash + ca_file, not manifest
        return cls(
            platform.allow_networks,
            ca_file,
            platform.test_timeout or SMTP_CLIENT.timeout,
            platform.helo_name or None,
            platform.managed.host if platform.managed is not None else None,
            lacks_manifest,
        )
