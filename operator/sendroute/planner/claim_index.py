"""Which accounts declare a domain or a profile: what a plan of some accounts must know of all
others."""

from collections.abc import Callable, Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from functools import cache

from msgspec import Struct, field

from sendroute.model.desired import AccountKey, DesiredAccount, DesiredDomain, ProfileName


class ClaimLimit(Enum):
    """Why nothing can come to an account, as a clause. Its claims only keep what another account of
    its namespace holds."""

    UNKNOWN = "is not defined by any MailAccount"
    LEAVING = "is to be removed"


class ProfileAccounts(Struct, frozen=True):
    """By profile, the accounts whose documents define it (``claims``), and those that hold it in
    the store."""

    claims: Mapping[ProfileName, AbstractSet[AccountKey]] = field(default_factory=dict)
    holders: Mapping[ProfileName, AbstractSet[AccountKey]] = field(default_factory=dict)


NO_PROFILES = ProfileAccounts()


class OtherAccounts(Struct, frozen=True):
    """What a plan must know of the accounts outside it: their claims on the domains of
    :func:`~sendroute.planner.claims.open_domains` and the profiles of
    :func:`~sendroute.planner.moves.open_profiles`, and how many domains they hold.

    ``declared``: by domain, the accounts that declare it once. ``contested``: by domain, the
    accounts that declare it twice, so that neither declaration counts. ``inert`` are those of
    these accounts to which nothing can come. ``holders``: the account that holds each domain in
    the store. ``domain_count`` is the number of domains in the store that no account of the plan
    holds. ``on_managed`` are those of these accounts that hold a domain that is sent through the
    managed relay; only a plan that removes that relay needs them.
    """

    declared: Mapping[str, Mapping[AccountKey, DesiredDomain]] = field(default_factory=dict)
    contested: Mapping[str, AbstractSet[AccountKey]] = field(default_factory=dict)
    holders: Mapping[str, AccountKey] = field(default_factory=dict)
    domain_count: int = 0
    inert: Mapping[AccountKey, ClaimLimit] = field(default_factory=dict)
    profiles: ProfileAccounts = NO_PROFILES
    on_managed: AbstractSet[AccountKey] = frozenset()


NO_OTHERS = OtherAccounts()
"""A plan of every account has no accounts outside."""


ClaimsOf = Callable[[], "ClaimIndex"]
"""Gives the index of a desired state."""


def claims_of(accounts: Iterable[DesiredAccount]) -> ClaimsOf:
    """Return what builds the index of a desired state on the first call, because only a plan of
    some accounts needs it.

    Args:
        accounts: the accounts of the desired state, which does not change.
    """
    return cache(lambda: ClaimIndex(accounts))


class ClaimIndex:
    """Which accounts declare a domain or a profile. The owner of the desired state keeps the index
    beside that state, and replaces an account when its documents change, at a cost that depends
    only on that account. ``version`` counts these changes."""

    def __init__(self, accounts: Iterable[DesiredAccount] = ()) -> None:
        self._accounts: dict[AccountKey, DesiredAccount] = {}
        self._first: dict[str, AccountKey] = {}
        self._further: dict[str, list[AccountKey]] = {}  # of the few that several declare
        self._profiles: dict[tuple[str, str | None], set[AccountKey]] = {}  # by namespace and name
        self.version = 0
        for account in accounts:
            self.put(account)

    def until_changed(self) -> "ClaimsOf":
        """Return what gives this index while it is as it is now.

        It raises RuntimeError once the owner has changed the desired state: the index then belongs
        to a later one.
        """
        version = self.version

        def claims() -> ClaimIndex:
            if self.version != version:
                raise RuntimeError("the index of claims belongs to a later desired state")
            return self

        return claims

    def put(self, account: DesiredAccount) -> None:
        """Add an account, or replace it."""
        key = account.key
        self.remove(key)
        self._accounts[key] = account
        first = self._first
        for domain in declared_names(account):
            if first.setdefault(domain, key) is not key:
                self._further.setdefault(domain, []).append(key)
        for name in account.profile_claims():
            self._profiles.setdefault((key.namespace, name), set()).add(key)

    def remove(self, key: AccountKey) -> None:
        """Remove an account, if it is in the index.

        Args:
            key: its namespace and name.
        """
        self.version += 1
        account = self._accounts.pop(key, None)
        for domain in declared_names(account) if account is not None else ():
            further = self._further.get(domain, [])
            if self._first[domain] != key:
                further.remove(key)
            elif further:
                self._first[domain] = further.pop(0)
            else:
                del self._first[domain]
            if not further:
                self._further.pop(domain, None)
        for name in account.profile_claims() if account is not None else ():
            claiming = self._profiles.get((key.namespace, name), set())
            claiming.discard(key)
            if not claiming:
                self._profiles.pop((key.namespace, name), None)

    def declaring(self, domain: str) -> tuple[AccountKey, ...]:
        """The accounts that declare a domain, once or twice."""
        first = self._first.get(domain)
        return () if first is None else (first, *self._further.get(domain, ()))

    def defining(self, profile: ProfileName) -> frozenset[AccountKey]:
        """Find the accounts whose documents define a profile.

        Args:
            profile: its namespace and name.

        Returns:
            The accounts of the namespace, also those with a document whose name cannot be read.
        """
        names = (profile.name, None)
        accounts = (self._profiles.get((profile.namespace, name), ()) for name in names)
        return frozenset(key for keys in accounts for key in keys)

    def others(
        self,
        domains: Iterable[str],
        planned: Collection[AccountKey],
        holders: Mapping[str, AccountKey],
        domain_count: int,
        profile_holders: Mapping[ProfileName, AbstractSet[AccountKey]] = NO_PROFILES.holders,
    ) -> OtherAccounts:
        """What a plan must know of the accounts outside it.

        Args:
            domains: those of :func:`~sendroute.planner.claims.open_domains`.
            planned: the accounts of the plan.
            holders: the account that holds each of these domains in the store.
            domain_count: the number of domains in the store that no account of the plan holds.
            profile_holders: by profile of
                :func:`~sendroute.planner.moves.open_profiles`, the accounts that hold it in the
                store.

        Returns:
            The claims of the other accounts on ``domains`` and these profiles, and the number.
        """
        requested: dict[AccountKey, set[str]] = {}
        for domain in domains:
            for key in self.declaring(domain):
                if key not in planned:
                    requested.setdefault(key, set()).add(domain)
        declared: dict[str, dict[AccountKey, DesiredDomain]] = {}
        contested: dict[str, set[AccountKey]] = {}
        for key, names in sorted(requested.items()):
            account = self._accounts[key]
            for domain in account.contested.keys() & names:
                contested.setdefault(domain, set()).add(key)
            for desired in account.claims:
                domain = desired.domain
                is_ignored = account.remove is not None and holders.get(domain) == key
                if domain in names and not is_ignored:
                    declared.setdefault(domain, {})[key] = desired
        inside = frozenset(planned)
        profiles = {name: self.defining(name) - inside for name in profile_holders}
        of_profiles = (*profiles.values(), *profile_holders.values())
        known = self._accounts.keys() & {*requested, *holders.values()}.union(*of_profiles)
        inert = inert_among(self._accounts[key] for key in sorted(known))
        return OtherAccounts(
            declared,
            contested,
            holders,
            domain_count,
            inert,
            ProfileAccounts(profiles, profile_holders),
        )


def inert_among(accounts: Iterable[DesiredAccount]) -> dict[AccountKey, ClaimLimit]:
    """Those of some accounts to which nothing can come."""
    inert = {}
    for account in accounts:
        if account.unknown:
            inert[account.key] = ClaimLimit.UNKNOWN
        elif account.remove is not None:
            inert[account.key] = ClaimLimit.LEAVING
    return inert


def declared_names(account: DesiredAccount) -> Iterable[str]:
    """Yield the domains that an account declares, once or twice."""
    yield from account.contested
    for desired in account.claims:
        yield desired.domain
