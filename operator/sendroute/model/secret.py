"""Secrets as everybody but their own room sees them: a name, what is wrong with one, and what a
sealed credential belongs to. No value is held here."""

from typing import NamedTuple

from msgspec import Struct

from sendroute.model.owner import PLATFORM, RELAY, Owner, owner_named, owner_names
from sendroute.model.platform import Relay
from sendroute.model.profile import Encryption, Profile
from sendroute.model.remedy import Remedy

PLATFORM_NAMESPACE = "default"
"""Where the MailPlatform's own secrets are looked for, outside a cluster."""


class SecretRef(NamedTuple):
    """A secret of one namespace; a reference never leaves its namespace."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class SecretProblem(Struct, frozen=True):
    """Why a secret cannot be used: a code, a sentence that begins with the secret's name, and
    what to do. Never any part of a value."""

    code: str
    message: str
    hint: str
    remedy: Remedy | None = None


class SecretBinding(NamedTuple):
    """What a sealed credential belongs to: it opens for this and nothing else, so that whoever can
    write to the store, but has no key, can neither swap credentials nor lead one to another host.
    """

    namespace: str
    account: str
    profile: str
    host: str
    port: int
    encryption: Encryption

    @property
    def owner(self) -> Owner:
        return owner_named(self.namespace, self.account)


def binding_of(owner: Owner, name: str, endpoint: Profile | Relay) -> SecretBinding:
    """The binding of an account's profile, or of the platform's managed relay."""
    return SecretBinding(
        *owner_names(owner),
        name,
        endpoint.host,
        endpoint.port,
        Encryption(endpoint.encryption),
    )


def relay_binding(relay: Relay) -> SecretBinding:
    return binding_of(PLATFORM, RELAY, relay)
