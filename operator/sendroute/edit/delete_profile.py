"""``edit delete-profile``: a definition goes, and with it every reference that would be left
pointing at nothing. Which route takes their place is said by the person, never guessed."""

from collections.abc import Iterator
from enum import Enum

from msgspec import UNSET

from sendroute.edit.declare import check_profile
from sendroute.edit.proposal import Proposal
from sendroute.edit.tree import Account, Domain, Profile, Tree
from sendroute.manifests.profiles import route_of
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Severity, Where
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import Perform, Task
from sendroute.model.route import Route, via


class Undeclared(Enum):
    """References are taken away, and no route is put in their place."""

    UNDECLARED = "undeclared"


UNDECLARED = Undeclared.UNDECLARED


def delete_profile(
    tree: Tree, key: AccountKey, name: str, instead: Route | Undeclared | None = None
) -> Proposal:
    """``instead`` is what domains, the default and other profiles' ``reassignTo`` get that name
    the profile. With None they stand in the way: raises ProblemError with each of them.

    An ``applyToAll`` that names it is always taken out: its confirmation was for that route.
    """
    profile = tree.profile(key, name)
    if instead == via(name):
        raise ProblemError(
            finding("invalid-value", "A deleted profile cannot take its own place.", account=key)
        )
    if isinstance(instead, Route):
        check_profile(tree, key, instead)
    references = _References(tree, profile)
    if instead is None and (found := list(references.told())):
        raise ProblemError(*found)
    proposal = Proposal(tree)
    new = instead if isinstance(instead, Route) else None
    for domain in references.domains:
        _reroute(proposal, domain, new)
    for account in references.accounts:
        _take_from_account(proposal, account, via(name), new)
    for other in references.profiles:
        _take_from_profile(proposal, other, new)
    if profile.domain is None:
        proposal.remove(profile.where)
        proposal.tell(
            profile.where.at("metadata", "name"), f"profile {name} of account {key.name}: deleted"
        )
    proposal.notes.append(_note(profile))
    return proposal


class _References:
    """What names a profile: domains (the one that defines it in line, too), the account's default
    and apply-all, other profiles' ``reassignTo``."""

    def __init__(self, tree: Tree, profile: Profile) -> None:
        self._route = route = via(profile.name)
        key = profile.key
        self.domains = [each for each in tree.domains_of(key) if each.route == route]
        self.accounts = [
            each
            for each in tree.accounts.get(key, ())
            if route in (route_of(each.spec.default_route), _apply_all_route(each))
        ]
        self.profiles = [
            each
            for each in tree.profiles
            if each.key == key and each.name != profile.name and _reassign_to(each) == route
        ]

    def told(self) -> Iterator[Finding]:
        for domain in self.domains:
            yield _stays(f"{domain.name} routes", domain.where.at("spec", "route"), domain.key)
        for account in self.accounts:
            if route_of(account.spec.default_route) == self._route:
                where = account.where.at("spec", "defaultRoute")
                yield _stays(f"The default of account {account.key.name} is", where, account.key)
        for profile in self.profiles:
            where = profile.where.at(*_fields_path(profile), "onDelete", "reassignTo")
            yield _stays(f"The domains of profile {profile.name} fall back", where, profile.key)


def _stays(what: str, where: Where, key: AccountKey) -> Finding:
    return finding(
        "unknown-profile",
        f"{what} through the profile that is to be deleted.",
        hint="Choose what replaces it: managed, another profile, unconfigured, or no declared"
        " route.",
        where=where,
        account=key,
    )


def _reroute(proposal: Proposal, domain: Domain, new: Route | None) -> None:
    spec = proposal.spec(domain.where)
    if new is None:
        del spec["route"]
    else:
        spec["route"] = new.as_manifest()
    where = domain.where.at("spec", "route")
    message = f"route of {domain.name}: {domain.route} → {new or 'none declared'}"
    if domain.inline is not None:
        message += f"; profile {domain.inline}, defined here, is deleted"
    proposal.tell(where, message)


def _take_from_account(
    proposal: Proposal, account: Account, gone: Route, new: Route | None
) -> None:
    spec = proposal.spec(account.where)
    if route_of(account.spec.default_route) == gone:
        if new is None:
            del spec["defaultRoute"]
        else:
            spec["defaultRoute"] = new.as_manifest()
        told = str(new) if new else "none (the plan's own)"
        where = account.where.at("spec", "defaultRoute")
        proposal.tell(where, f"default of account {account.key.name}: {gone} → {told}")
    if _apply_all_route(account) == gone:
        del spec["applyToAll"]
        where = account.where.at("spec", "applyToAll")
        proposal.tell(where, f"apply-all of account {account.key.name} to {gone}: taken out")


def _take_from_profile(proposal: Proposal, profile: Profile, new: Route | None) -> None:
    path = _fields_path(profile)
    fields = proposal.value(profile.where)
    for step in path:
        fields = fields[step]
    if new is None or new == via(profile.name):
        del fields["onDelete"]
        told = "none declared"
    else:
        fields["onDelete"]["reassignTo"] = new.as_manifest()
        told = str(new)
    where = profile.where.at(*path, "onDelete", "reassignTo")
    proposal.tell(where, f"reassignTo of profile {profile.name}: → {told}")


def _fields_path(profile: Profile) -> tuple[str, ...]:
    return ("spec",) if profile.domain is None else ("spec", "route", "newProfile")


def _apply_all_route(account: Account) -> Route | None:
    asked = account.spec.apply_to_all
    return None if asked is UNSET else route_of(asked.route)


def _reassign_to(profile: Profile) -> Route | None:
    on_delete = profile.fields.on_delete
    return None if on_delete is UNSET else route_of(on_delete.reassign_to)


def _note(profile: Profile) -> Finding:
    return finding(
        "profile-deleted",
        "Domains that have this profile without declaring it are reassigned when this is applied.",
        hint="A plan shows them.",
        remedy=Perform(Task.PLAN),
        account=profile.key,
        severity=Severity.INFO,
    )
