"""Which accounts are planned together, and what must be read from the store to plan them."""

from collections.abc import Collection, Iterable, Mapping, Set
from typing import Protocol

from msgspec import Struct

from sendroute.model.current import CurrentAccount
from sendroute.model.desired import AccountKey, DesiredAccount, ProfileName
from sendroute.planner.claim_index import ClaimIndex, OtherAccounts
from sendroute.planner.claims import find_conflicts, open_domains
from sendroute.planner.moves import open_profiles


class Holdings(Protocol):
    """The content of a store, at one revision."""

    def accounts(self, keys: Set[AccountKey]) -> Mapping[AccountKey, CurrentAccount]:
        """Return the state of these accounts, by key; an account that is not in the store is left
        out."""
        ...

    def holders(self, domains: Iterable[str]) -> Mapping[str, AccountKey]:
        """Return the account that holds each of these domains; a domain that no account holds is
        left out."""
        ...

    def profile_holders(
        self, profiles: Collection[ProfileName]
    ) -> Mapping[ProfileName, Set[AccountKey]]:
        """Return the accounts of its namespace that hold each of these profiles; a profile that no
        account holds is left out."""
        ...

    def accounts_on_managed(self) -> Set[AccountKey]:
        """Return the accounts that hold a domain that is sent through the managed relay."""
        ...

    def domain_count(self) -> int:
        """Return the number of domains in the store."""
        ...

    def domains_by_account(self) -> Mapping[AccountKey, int]:
        """Return the number of domains of each account; an account that holds none is left out."""
        ...


class Selection(Struct, frozen=True):
    """The accounts of a plan, their state in the store, and what it must know of all others."""

    keys: frozenset[AccountKey]
    current: Mapping[AccountKey, CurrentAccount]
    others: OtherAccounts


def select(
    keys: Set[AccountKey],
    claiming: Mapping[AccountKey, DesiredAccount],
    index: ClaimIndex,
    holdings: Holdings,
    *,
    linked: bool = True,
    stored: int | None = None,
) -> Selection:
    """Select the accounts to plan, and read what
    :func:`~sendroute.planner.plan.plan_accounts` needs.

    Args:
        keys: the accounts that are due.
        claiming: the manifests of all accounts that claim domains or profiles; only those of the
            selected accounts are read.
        index: which accounts of ``claiming`` declare a domain or a profile.
        holdings: the store.
        linked: add the accounts that exchange domains or profiles with these, directly or through
            others; without them these do not move (step 6).
        stored: the number of domains in the store, if it is known.

    Returns:
        The accounts, their state in the store, and what the plan must know of all other accounts.
    """
    number = holdings.domain_count() if stored is None else stored
    chosen, added = frozenset(keys), frozenset(keys)
    current: dict[AccountKey, CurrentAccount] = {}
    while True:
        current.update(holdings.accounts(added))
        accounts = {key: claiming[key] for key in chosen if key in claiming}
        domains = open_domains(accounts, current)
        current_domains = {domain for account in current.values() for domain in account.domains}
        profiles = open_profiles(accounts, current)
        holding = holdings.profile_holders(profiles) if profiles else {}
        others = index.others(
            domains,
            chosen,
            holdings.holders(domains - current_domains),
            number - sum(len(account.domains) for account in current.values()),
            {profile: holding.get(profile, frozenset()) for profile in profiles},
        )
        added = find_conflicts(accounts, current, others).involving(chosen)
        if not (linked and added):
            return Selection(chosen, current, others)
        chosen |= added
