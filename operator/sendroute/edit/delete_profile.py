"""``edit delete-profile``: remove a definition and every reference to it. The user chooses the
route that replaces them; it is never guessed."""

from collections.abc import Iterator
from enum import Enum

from msgspec import UNSET

from sendroute.edit.declare import check_profile
from sendroute.edit.proposal import Proposal
from sendroute.edit.tree import Account, Domain, EditedProfile, EditTree
from sendroute.manifests.profiles import route_of
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Severity, Where
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import Perform, Task
from sendroute.model.route import Route, via


class NoRoute(Enum):
    """References are removed, and no route replaces them."""

    NO_ROUTE = "no-route"


NO_ROUTE = NoRoute.NO_ROUTE


def delete_profile(
    tree: EditTree, key: AccountKey, name: str, replacement: Route | NoRoute | None = None
) -> Proposal:
    """Delete a profile.

    Args:
        tree: the manifests.
        key: the account.
        name: the profile.
        replacement: what replaces the profile in the routes of domains, in the account's default
            and in other profiles' ``reassignTo``. An ``applyToAll`` with the profile is always
            removed, because it was confirmed for that route.

    Returns:
        The changes.

    Raises:
        ProblemError: the profile is unknown; or ``replacement`` is None and it is still referenced,
            with one finding for each reference.
    """
    profile = tree.profile(key, name)
    if replacement == via(name):
        raise ProblemError(
            finding(
                "invalid-value",
                f"Profile {name} of account {key.name} is to be deleted and cannot replace itself.",
                account=key,
            )
        )
    if isinstance(replacement, Route):
        check_profile(tree, key, replacement)
    references = _References(tree, profile)
    if replacement is None and (blockers := list(references.findings())):
        raise ProblemError(*blockers)
    proposal = Proposal(tree)
    new = replacement if isinstance(replacement, Route) else None
    for domain in references.domains:
        _replace_in_domain(proposal, domain, new)
    for account in references.accounts:
        _replace_in_account(proposal, account, via(name), new)
    for other in references.profiles:
        _replace_in_profile(proposal, other, new)
    if profile.domain is None:
        proposal.remove(profile.where)
        proposal.describe(
            profile.where.at("metadata", "name"), f"profile {name} of account {key.name}: deleted"
        )
    proposal.notes.append(_note(profile))
    return proposal


class _References:
    """The references to a profile: domains (also the one that defines it inline), the account's
    default and apply-all, other profiles' ``reassignTo``."""

    def __init__(self, tree: EditTree, profile: EditedProfile) -> None:
        self._route = route = via(profile.name)
        key = profile.key
        self.domains = [domain for domain in tree.domains_of(key) if domain.route == route]
        self.accounts = [
            account
            for account in tree.accounts.get(key, ())
            if route in (route_of(account.spec.default_route), _apply_all_route(account))
        ]
        self.profiles = [
            other
            for other in tree.profiles
            if other.key == key and other.name != profile.name and _reassign_to(other) == route
        ]

    def findings(self) -> Iterator[Finding]:
        for domain in self.domains:
            yield _blocked(
                f"{domain.name} declares {self._route}",
                domain.where.at("spec", "route"),
                domain.key,
            )
        for account in self.accounts:
            if route_of(account.spec.default_route) == self._route:
                where = account.where.at("spec", "defaultRoute")
                yield _blocked(
                    f"The default of account {account.key.name} is {self._route}",
                    where,
                    account.key,
                )
        for profile in self.profiles:
            where = profile.where.at(*_fields_path(profile), "onDelete", "reassignTo")
            yield _blocked(
                f"The reassignTo of profile {profile.name} is {self._route}", where, profile.key
            )


def _blocked(subject: str, where: Where, key: AccountKey) -> Finding:
    return finding(
        "unknown-profile",
        f"{subject}, which is to be deleted.",
        hint="Choose what replaces the profile: managed, another profile, unconfigured, or no"
        " declared route.",
        where=where,
        account=key,
    )


def _replace_in_domain(proposal: Proposal, domain: Domain, new: Route | None) -> None:
    spec = proposal.spec(domain.where)
    if new is None:
        del spec["route"]
    else:
        spec["route"] = new.as_manifest()
    where = domain.where.at("spec", "route")
    message = f"route of {domain.name}: {domain.route} → {new or 'none declared'}"
    if domain.inline is not None:
        message += f"; the inline profile {domain.inline} is removed"
    proposal.describe(where, message)


def _replace_in_account(
    proposal: Proposal, account: Account, old: Route, new: Route | None
) -> None:
    spec = proposal.spec(account.where)
    if route_of(account.spec.default_route) == old:
        if new is None:
            del spec["defaultRoute"]
        else:
            spec["defaultRoute"] = new.as_manifest()
        shown = str(new) if new else "none (the plan default)"
        where = account.where.at("spec", "defaultRoute")
        proposal.describe(where, f"default of account {account.key.name}: {old} → {shown}")
    if _apply_all_route(account) == old:
        del spec["applyToAll"]
        where = account.where.at("spec", "applyToAll")
        proposal.describe(where, f"apply-all of account {account.key.name} to {old}: removed")


def _replace_in_profile(proposal: Proposal, profile: EditedProfile, new: Route | None) -> None:
    path = _fields_path(profile)
    fields = proposal.value(profile.where)
    for step in path:
        fields = fields[step]
    if new is None or new == via(profile.name):
        del fields["onDelete"]
        shown = "none declared"
    else:
        fields["onDelete"]["reassignTo"] = new.as_manifest()
        shown = str(new)
    where = profile.where.at(*path, "onDelete", "reassignTo")
    proposal.describe(where, f"reassignTo of profile {profile.name}: → {shown}")


def _fields_path(profile: EditedProfile) -> tuple[str, ...]:
    return ("spec",) if profile.domain is None else ("spec", "route", "newProfile")


def _apply_all_route(account: Account) -> Route | None:
    asked = account.spec.apply_to_all
    return None if asked is UNSET else route_of(asked.route)


def _reassign_to(profile: EditedProfile) -> Route | None:
    on_delete = profile.fields.on_delete
    return None if on_delete is UNSET else route_of(on_delete.reassign_to)


def _note(profile: EditedProfile) -> Finding:
    return finding(
        "profile-deleted",
        f"Domains of account {profile.key.name} that use profile {profile.name} without declaring"
        " the profile are reassigned with the next change.",
        hint="The plan lists the domains.",
        remedy=Perform(Task.PLAN),
        account=profile.key,
        severity=Severity.INFO,
    )
