"""Moves: a domain or a profile that one account holds, and only another one declares.

Which domains move is decided with the other claims (:mod:`sendroute.planner.claims`). A profile
moves if its document is now of another account of the namespace: it leaves its holder only when
that account takes it, so that it exists all the time. An account that defines a profile of its own
under the same name needs nothing of the holder.
"""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

from msgspec import Struct

from sendroute.model.current import CurrentAccount
from sendroute.model.desired import AccountKey, DesiredAccount, ProfileName
from sendroute.planner.claim_index import ClaimLimit, OtherAccounts

DesiredAccounts = Mapping[AccountKey, DesiredAccount]
CurrentAccounts = Mapping[AccountKey, CurrentAccount]


class Move(Struct, frozen=True, order=True):
    """A domain, or a profile, that leaves its holder for an account that declares it: a domain for
    the only one that does."""

    name: str
    holder: AccountKey
    claimant: AccountKey
    is_profile: bool = False

    @property
    def is_within_tenant(self) -> bool:
        """Whether both accounts are in one namespace. Only then does the holder keep what moves if
        the claimant cannot take it."""
        return self.holder.namespace == self.claimant.namespace


def open_profiles(accounts: DesiredAccounts, current: CurrentAccounts) -> set[ProfileName]:
    """The profiles for which other accounts of the namespace matter: those that an account defines
    in a document but does not hold, or holds but does not define.

    Args:
        accounts: the manifests of some accounts.
        current: their state in the store.

    Returns:
        The profiles.
    """
    names = {name for name, _ in _lost(accounts, current)}
    for key, account in accounts.items():
        held = current[key].profiles if key in current else {}
        names.update(
            ProfileName(key.namespace, name)
            for name in account.profile_claims()
            if name is not None and name not in held
        )
    return names


def find_profile_moves(
    accounts: DesiredAccounts,
    current: CurrentAccounts,
    others: OtherAccounts,
    inert: Mapping[AccountKey, ClaimLimit],
) -> Iterator[Move]:
    """Find the profiles that move to or from the accounts of a plan.

    Args:
        accounts: the manifests of these accounts.
        current: their state in the store.
        others: the claims of all other accounts.
        inert: the accounts to which nothing can come.

    Yields:
        The moves, in order. A profile that several accounts define moves to each of them, so it
        stays until all of them can take it.
    """
    leaving: dict[ProfileName, set[AccountKey]] = {}
    for name, key in _lost(accounts, current):
        leaving.setdefault(name, set()).add(key)
    for name, holders in others.profiles.holders.items():
        if outside := holders - current.keys() - others.profiles.claims.get(name, frozenset()):
            leaving.setdefault(name, set()).update(outside)
    if not leaving:
        return
    claims = _claims(accounts, leaving.keys(), others)
    for name, holders in sorted(leaving.items()):
        for holder in sorted(holders):
            for claimant in sorted(claims[name] - {holder}):
                both_go = inert.get(holder) is inert.get(claimant) is ClaimLimit.LEAVING
                if not (both_go or _holds(claimant, name, current, others)):
                    yield Move(name.name, holder, claimant, is_profile=True)


def _lost(
    accounts: DesiredAccounts, current: CurrentAccounts
) -> Iterator[tuple[ProfileName, AccountKey]]:
    """The profiles that an account holds and does not define."""
    for key, stored in current.items():
        names = set(stored.profiles)
        if names and (account := accounts.get(key)) is not None:
            names -= {*account.profiles, *account.profile_claims()}
        for name in names:
            yield ProfileName(key.namespace, name), key


def _claims(
    accounts: DesiredAccounts, profiles: AbstractSet[ProfileName], others: OtherAccounts
) -> dict[ProfileName, set[AccountKey]]:
    """By profile, the accounts whose documents define it, or may define it, because its name cannot
    be read."""
    claims = {name: set(others.profiles.claims.get(name, ())) for name in profiles}
    by_namespace: dict[str, set[ProfileName]] = {}
    for name in profiles:
        by_namespace.setdefault(name.namespace, set()).add(name)
    for key, account in accounts.items():
        if (asked := by_namespace.get(key.namespace)) is None:
            continue
        for claimed in account.profile_claims():
            named = {ProfileName(key.namespace, claimed)} if claimed is not None else asked
            for name in asked & named:
                claims[name].add(key)
    return claims


def _holds(
    key: AccountKey, name: ProfileName, current: CurrentAccounts, others: OtherAccounts
) -> bool:
    if key in current:
        return name.name in current[key].profiles
    return key in others.profiles.holders.get(name, ())
