"""Which accounts are planned together, and what has to be read for their plan."""

from collections.abc import Iterable, Mapping, Set
from typing import Protocol

from msgspec import Struct

from sendroute.model.current import CurrentAccount
from sendroute.model.desired import AccountKey, DesiredAccount
from sendroute.planner.claims import ClaimIndex, OtherClaims, find_conflicts, open_domains


class Holdings(Protocol):
    """What a store holds, at one revision."""

    def accounts(self, keys: Set[AccountKey]) -> Mapping[AccountKey, CurrentAccount]:
        """These accounts; one that the store does not know is left out."""
        ...

    def holders(self, domains: Iterable[str]) -> Mapping[str, AccountKey]:
        """The account that holds each of these domains; a domain without one is left out."""
        ...


class Selection(Struct, frozen=True):
    """The accounts of a plan, what the store holds of them, and what the others say."""

    keys: frozenset[AccountKey]
    current: Mapping[AccountKey, CurrentAccount]
    others: OtherClaims


def select(
    keys: Set[AccountKey],
    desired: Mapping[AccountKey, DesiredAccount],
    index: ClaimIndex,
    holdings: Holdings,
    *,
    linked: bool = True,
) -> Selection:
    """The accounts to plan, and what :func:`~sendroute.planner.plan.plan_accounts` needs of them.

    Args:
        keys: the accounts that are due.
        desired: what the manifests say of all accounts; only that of the selected is looked at.
        index: which account of ``desired`` declares a domain.
        holdings: the store.
        linked: add the accounts that exchange domains with these, directly or over others; without
            them these domains stay where they are (step 6).
    """
    chosen, added = frozenset(keys), frozenset(keys)
    current: dict[AccountKey, CurrentAccount] = {}
    while True:
        current.update(holdings.accounts(added))
        accounts = {key: desired[key] for key in chosen if key in desired}
        domains = open_domains(accounts, current)
        held = {domain for account in current.values() for domain in account.domains}
        others = index.others(domains, chosen, holdings.holders(domains - held))
        added = find_conflicts(accounts, current, others).involving(chosen)
        if not (linked and added):
            return Selection(chosen, current, others)
        chosen |= added
