"""The content of a store, account by account, for an export as manifests."""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from sendroute.model.current import AccountState, DomainState
from sendroute.model.desired import AccountKey
from sendroute.model.platform import Platform
from sendroute.model.profile import Profile


class AccountExport(Struct, frozen=True):
    """An account, its profiles in the order of names, and its domains with their states.
    ``domains`` reads from the database, so iterate it before the next account."""

    key: AccountKey
    state: AccountState
    profiles: dict[str, Profile]
    domains: Iterator[tuple[str, DomainState]]


class StoreExport(Struct, frozen=True):
    """``ambiguous`` are the object names that several domains of a namespace would share, and
    ``shared_profiles`` the profile names that several of its accounts have, each with the
    namespace; ``accounts`` are read from the store in each iteration."""

    platform: Platform | None
    ambiguous: frozenset[tuple[str, str]]
    shared_profiles: frozenset[tuple[str, str]]
    accounts: Iterable[AccountExport]


def object_name(domain_name: str) -> str:
    """Return the name of the Kubernetes object for a domain. Several domains may have the same
    name."""
    return domain_name.replace(".", "-").replace("_", "-")
