"""A saved SMTP provider of one account, as it is after its preset has filled what was absent."""

from enum import StrEnum

from msgspec import Struct

from sendroute.model.route import Route


class Encryption(StrEnum):
    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


class ConnectionTest(StrEnum):
    """What a profile's connection test decides (semantics: order of one change, 1)."""

    REQUIRED = "required"
    WARN = "warn"
    SKIP = "skip"


class SenderAuthorization(StrEnum):
    OFF = "off"
    WARN = "warn"
    BLOCK = "block"


class ProviderLimits(Struct, frozen=True, gc=False):
    """What the provider grants: messages a second, messages a day."""

    per_second: int | None = None
    per_day: int | None = None


class Profile(Struct, frozen=True):
    """``secret`` names a secret of the account's namespace with keys username and password; a
    value is never held here. ``username`` comes from a preset whose provider fixes it."""

    host: str
    port: int
    encryption: Encryption
    display_name: str | None = None
    provider: str | None = None
    secret: str | None = None
    username: str | None = None
    allow_insecure_auth: bool = False
    connection_test: ConnectionTest = ConnectionTest.REQUIRED
    limits: ProviderLimits = ProviderLimits()
    sender_authorization: SenderAuthorization = SenderAuthorization.WARN
    reassign_to: Route | None = None
