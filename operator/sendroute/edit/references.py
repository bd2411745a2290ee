"""The references to a profile within its account."""

from collections.abc import Iterator, Sequence

from msgspec import UNSET

from sendroute.edit.tree import EditedAccount, EditedDomain, EditedProfile, EditTree
from sendroute.manifests.profiles import route_of
from sendroute.model.codes import finding
from sendroute.model.current import CurrentAccount
from sendroute.model.finding import Finding, Severity, Where
from sendroute.model.remedy import Perform, Task
from sendroute.model.route import MANAGED, UNCONFIGURED, Route, via
from sendroute.model.words import counted, first_of

_LISTED = 3


class References:
    """Domains (also the one that defines the profile inline), the account's default and apply-all,
    and other profiles' ``reassignTo``."""

    def __init__(self, tree: EditTree, profile: EditedProfile) -> None:
        self.route = route = via(profile.name)
        key = profile.key
        self._all_domains = tree.domains_of(key)
        self.domains = [domain for domain in self._all_domains if domain.route == route]
        accounts = tree.accounts.get(key, ())
        self.defaults = [
            account for account in accounts if route_of(account.spec.default_route) == route
        ]
        self.apply_alls = [account for account in accounts if apply_all_route(account) == route]
        self.profiles = [
            other
            for other in tree.profiles
            if other.key == key and other.name != profile.name and reassign_to(other) == route
        ]

    def undeclared(self, current: CurrentAccount) -> list[EditedDomain]:
        """The domains that use the profile in the store without declaring it, and would still use
        it after an apply."""
        states = current.domains
        return [
            domain
            for domain in self._all_domains
            if (state := states.get(domain.name)) is not None
            and state.route == self.route != domain.route
            and not domain.is_pending(state)
        ]

    def described(self) -> Iterator[tuple[str, Where]]:
        """Each reference that needs a replacement, as a clause, and its position."""
        for domain in self.domains:
            yield f"{domain.name} declares {self.route}", domain.where.at("spec", "route")
        for account in self.defaults:
            where = account.where.at("spec", "defaultRoute")
            yield f"The default of account {account.key} is {self.route}", where
        for profile in self.profiles:
            where = profile.where.at(*fields_path(profile), "onDelete", "reassignTo")
            yield f"The reassignTo of profile {profile.name} is {self.route}", where


def fields_path(profile: EditedProfile) -> tuple[str, ...]:
    """Where the fields of a profile are in its document."""
    return ("spec",) if profile.domain is None else ("spec", "route", "newProfile")


def apply_all_route(account: EditedAccount) -> Route | None:
    """The route of an account's ``applyToAll``; None if it has none."""
    requested = account.spec.apply_to_all
    return None if requested is UNSET else route_of(requested.route)


def reassign_to(profile: EditedProfile) -> Route | None:
    """The route to which a profile's domains go if it is removed; None if none is declared."""
    on_delete = profile.fields.on_delete
    return None if on_delete is UNSET else route_of(on_delete.reassign_to)


def undeclared_users(
    tree: EditTree, profile: EditedProfile, users: Sequence[EditedDomain]
) -> Finding:
    """The warning that domains use a profile that disappears without declaring it, and where they
    go (rules: step 5).

    Args:
        tree: the manifests.
        profile: the profile.
        users: the domains.

    Returns:
        The warning.
    """
    names = first_of(sorted(domain.name for domain in users), _LISTED)
    verb = "uses" if len(users) == 1 else "use"
    return finding(
        "profile-deleted",
        f"{counted(len(users), 'domain')} of account {profile.key} {verb} profile {profile.name}"
        f" without declaring it, and would be reassigned with the next change: {names}.",
        hint="A domain gets the route that its manifest declares, or if there is none"
        f" {_successor(tree, profile)}. To choose it, declare a route.",
        account=profile.key,
    )


def unknown_users(tree: EditTree, profile: EditedProfile, reason: str = "") -> Finding:
    """The note that domains may use a profile that disappears without declaring it, and where they
    go (rules: step 5); only the store knows them.

    Args:
        tree: the manifests.
        profile: the profile.
        reason: continues the sentence.

    Returns:
        The note.
    """
    return finding(
        "profile-deleted",
        f"Any domain of account {profile.key} that uses profile {profile.name} without declaring"
        f" it is reassigned with the next change{reason}: to the route that its manifest declares,"
        f" or if there is none to {_successor(tree, profile)}.",
        hint="The plan lists such domains.",
        remedy=Perform(Task.PLAN),
        account=profile.key,
        severity=Severity.INFO,
    )


def _successor(tree: EditTree, profile: EditedProfile) -> str:
    """Where domains go that declare no route, if the profile is removed."""
    route = reassign_to(profile)
    offers_managed = tree.offers_managed(profile.key)
    if route is not None and (route != MANAGED or offers_managed):
        return f"{route}, its onDelete"
    if tree.platform is None or profile.key not in tree.accounts:
        return "the plan default"
    return f"the plan default, {MANAGED if offers_managed else UNCONFIGURED}"
