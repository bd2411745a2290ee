"""A saved SMTP provider of one account, after its preset has set the fields left out."""

from enum import StrEnum

from msgspec import Struct

from sendroute.model.route import Route
from sendroute.model.stored_values import (
    StoredDisplayName,
    StoredHost,
    StoredLabel,
    StoredLimit,
    StoredPort,
    StoredSecretName,
    StoredUsername,
)


class Encryption(StrEnum):
    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


class ConnectionTest(StrEnum):
    """Whether a profile must pass a connection test before it is saved (docs/rules.md, step 1)."""

    REQUIRED = "required"
    WARN = "warn"
    SKIP = "skip"


class SenderAuthorization(StrEnum):
    OFF = "off"
    WARN = "warn"
    BLOCK = "block"


class ProviderLimits(Struct, frozen=True, gc=False):
    """The provider's limits in messages per second and per day; None for no limit."""

    per_second: StoredLimit | None = None
    per_day: StoredLimit | None = None


class Profile(Struct, frozen=True):
    """``secret`` is the name of a secret in the account's namespace with the keys username and
    password; no value of it is held here. ``username`` is set by a preset whose provider has one
    username for everybody. ``provider`` is the name of a preset, which another version of Sendroute
    need not know. ``reassign_to`` is where its domains go if the profile is removed."""

    host: StoredHost
    port: StoredPort
    encryption: Encryption
    display_name: StoredDisplayName | None = None
    provider: StoredLabel | None = None
    secret: StoredSecretName | None = None
    username: StoredUsername | None = None
    allow_insecure_auth: bool = False
    connection_test: ConnectionTest = ConnectionTest.REQUIRED
    limits: ProviderLimits = ProviderLimits()
    sender_authorization: SenderAuthorization = SenderAuthorization.WARN
    reassign_to: Route | None = None
