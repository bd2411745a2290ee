"""Secrets without their values: references, problems, and what an encrypted credential is bound
to."""

from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from sendroute.model.owner import PLATFORM, RELAY_TITLES, Owner, owner_named, owner_names
from sendroute.model.platform import Relay
from sendroute.model.profile import Encryption, Profile
from sendroute.model.remedy import Remedy

PLATFORM_NAMESPACE = "sendroute-system"
"""The namespace of the platform's own secrets. No tenant can use it (docs/rules.md, References)."""


class SecretRef(NamedTuple):
    """A secret of one namespace; a reference never leaves its namespace.

    ``of_platform``: the platform refers to it, not an account. Exactly such a reference resolves in
    the platform's namespace.
    """

    namespace: str
    name: str
    of_platform: bool = False

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Resave(StrEnum):
    """Why a credential is saved again although nothing else of its profile changes; the reason of
    the change. ``ROTATED``: its secret has other content than the saved credential. ``LOST``: the
    store has no credential that can be used, as after it was created from a lock file."""

    ROTATED = "credentials-changed"
    LOST = "credentials-lost"


class SecretProblem(Struct, frozen=True):
    """Why a secret cannot be used, without any part of its value. The fields are those of a
    :class:`~sendroute.model.finding.Finding`; ``message`` begins with the secret's name.
    ``is_partial``: the secret is there, and lacks a key."""

    code: str
    message: str
    hint: str
    remedy: Remedy | None = None
    is_partial: bool = False


class SecretBinding(NamedTuple):
    """What an encrypted credential is bound to: it decrypts only for this owner and destination. So
    a user who can write to the store, but has no key, can neither exchange credentials nor send a
    credential to another host.
    """

    namespace: str
    account: str
    profile: str
    host: str
    port: int
    encryption: Encryption

    @property
    def owner(self) -> Owner:
        """The account, or the platform for one of its relays."""
        return owner_named(self.namespace, self.account)

    @property
    def title(self) -> str:
        """What the credential belongs to, for messages."""
        if self.owner is PLATFORM:
            return RELAY_TITLES.get(self.profile, "a relay of the platform")
        return f"profile {self.profile} of account {self.namespace}/{self.account}"


def secret_ref(owner: Owner, endpoint: Profile | Relay) -> SecretRef | None:
    """The secret that an endpoint refers to.

    Args:
        owner: the account; ``PLATFORM`` for one of its relays.
        endpoint: the profile or the relay.

    Returns:
        The secret, in the namespace of its owner; None if the endpoint has no credentials.
    """
    if endpoint.secret is None:
        return None
    if owner is PLATFORM:
        return SecretRef(PLATFORM_NAMESPACE, endpoint.secret, of_platform=True)
    return SecretRef(owner.namespace, endpoint.secret)


def binding_of(owner: Owner, name: str, endpoint: Profile | Relay) -> SecretBinding:
    """The binding of a credential: it may be used only for this profile and this destination.

    Args:
        owner: the account; ``PLATFORM`` for one of its relays.
        name: the name of the profile; ``RELAY`` or ``BOUNCES`` for a relay.
        endpoint: the profile or the relay.

    Returns:
        The binding to the owner, the name, and the endpoint's host, port and encryption.
    """
    return SecretBinding(
        *owner_names(owner),
        name,
        endpoint.host,
        endpoint.port,
        Encryption(endpoint.encryption),
    )
