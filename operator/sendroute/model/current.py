"""The current state: the content of the store, from which the next plan starts."""

from msgspec import UNSET, Struct, UnsetType, field

from sendroute.model.desired import AccountKey
from sendroute.model.owner import Owner
from sendroute.model.platform import Platform
from sendroute.model.profile import Profile
from sendroute.model.route import Origin, Route


class DomainState(Struct, frozen=True, gc=False):
    """What the store holds of one domain.

    ``route`` is the assigned route. ``declared`` is the declared route last seen, None without
    one. ``shadow`` is the id of the apply-all that shadows it, None without one. ``overrides`` is
    the id of the apply-all after which the manifest confirms its declared route; it was last seen
    together with that route.
    """

    route: Route
    origin: Origin
    declared: Route | None = None
    shadow: str | None = None
    overrides: str | None = None

    @property
    def is_shadowed(self) -> bool:
        """Whether an apply-all shadows the declared route with another one."""
        return self.shadow is not None and self.declared not in (None, self.route)


class RanApplyAll(Struct, frozen=True, gc=False):
    """An apply-all that ran, and how many domains it switched. Its id is kept forever, also after
    the account was removed."""

    route: Route
    domain_count: int = field(name="domains")  # its name in digests and files


class AccountState(Struct, frozen=True, gc=False):
    """``plan`` is the name of the service plan, ``default`` the declared default last seen.
    ``logins`` are the names of the authenticated clients that may send as its domains, sorted; if
    unset, any client that the relay accepts may. What is unset is no part of a digest, so earlier
    plans and approvals stay valid."""

    plan: str
    default: Route | None = None
    logins: tuple[str, ...] | UnsetType = UNSET


class CurrentAccount(Struct, frozen=True):
    """What the store holds of one account; ``profiles`` and ``domains`` by name,
    ``completed_apply_alls`` the apply-alls that ran, by id, in the order in which they ran. For an
    account that was removed ``state`` is None and ``revision`` 0, and only these remain."""

    key: AccountKey
    revision: int
    state: AccountState | None
    profiles: dict[str, Profile] = field(default_factory=dict)
    domains: dict[str, DomainState] = field(default_factory=dict)
    completed_apply_alls: dict[str, RanApplyAll] = field(default_factory=dict)


class Current(Struct, frozen=True):
    """A whole store at one revision, read in one transaction.

    ``undecryptable`` are the credentials, by owner and profile, of a store that was created from a
    backup without its key: they may be encrypted again from their secrets.
    """

    lineage: str
    revision: int
    platform: Platform | None
    accounts: dict[AccountKey, CurrentAccount]
    undecryptable: frozenset[tuple[Owner, str]] = frozenset()

    @property
    def is_empty(self) -> bool:
        """Whether the store holds nothing, not even an account that was removed."""
        return self.platform is None and not self.accounts

    def account(self, key: AccountKey) -> CurrentAccount:
        """Return an account.

        Args:
            key: its namespace and name.

        Returns:
            The account; one without a state if the store does not have it.
        """
        return self.accounts.get(key) or CurrentAccount(key, 0, None)
