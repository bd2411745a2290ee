"""Who owns an object: an account, or the platform itself."""

from enum import Enum
from typing import Final

from msgspec import UNSET

from sendroute.model.desired import AccountKey
from sendroute.model.platform import Platform, Relay


class PlatformKey(Enum):
    """The key of what belongs to the platform and to no account."""

    PLATFORM = "platform"

    def __str__(self) -> str:
        return "the platform"


PLATFORM: Final = PlatformKey.PLATFORM

RELAY = "relay"
"""The managed relay's name among what the platform owns, as a profile's name is an account's."""

BOUNCES = "bounces"
"""The name of the bounce relay among what the platform owns."""

RELAY_TITLES = {RELAY: "the managed relay", BOUNCES: "the bounce relay"}
"""The platform's relays by name, as messages call them."""

Owner = AccountKey | PlatformKey


def owner_names(owner: Owner) -> tuple[str, str]:
    """Get the form that an owner has in the store, in saved plans and in encrypted credentials.
    Owners are sorted by it, so the platform comes first.

    Args:
        owner: an account, or the platform.

    Returns:
        ``(namespace, name)``: two empty strings for the platform.
    """
    return ("", "") if owner is PLATFORM else owner


def owner_named(namespace: str, name: str) -> Owner:
    """Get the owner that :func:`owner_names` wrote.

    Args:
        namespace: the namespace of the account, empty for the platform.
        name: its name, empty for the platform.

    Returns:
        The account, or the platform for two empty strings.
    """
    return AccountKey(namespace, name) if namespace or name else PLATFORM


def relays_of(platform: Platform | None) -> dict[str, Relay]:
    """Get the relays of a platform.

    Args:
        platform: the platform; None for none.

    Returns:
        The relays by the names under which the platform owns them; empty without a platform.
    """
    relays: dict[str, Relay] = {}
    if platform is not None and platform.managed is not None:
        relays[RELAY] = platform.managed.relay
    if platform is not None and platform.bounces is not UNSET:
        relays[BOUNCES] = platform.bounces
    return relays
