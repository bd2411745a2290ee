"""Delete the definition of a profile and every reference to it. The user chooses the
route that replaces them; it is never guessed."""

from collections.abc import Sequence
from enum import Enum

from sendroute.edit.declare import check_profile, declare, remove_apply_all
from sendroute.edit.proposal import Proposal
from sendroute.edit.references import (
    References,
    fields_path,
    reassign_to,
    undeclared_users,
    unknown_users,
)
from sendroute.edit.tree import EditedAccount, EditedDomain, EditedProfile, EditTree
from sendroute.manifests.profiles import route_of
from sendroute.model.codes import finding
from sendroute.model.current import CurrentAccount
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import DeleteProfile
from sendroute.model.route import Route, via


class NoRoute(Enum):
    """References are removed, and no route replaces them."""

    NO_ROUTE = "no-route"


NO_ROUTE = NoRoute.NO_ROUTE


def delete_profile(
    tree: EditTree,
    key: AccountKey,
    name: str,
    replacement: Route | NoRoute | None = None,
    current: CurrentAccount | None = None,
    *,
    store_known: bool = False,
) -> Proposal:
    """Delete a profile.

    Args:
        tree: the manifests.
        key: the account.
        name: the profile.
        replacement: what replaces the profile in the routes of domains, in the account's default
            and in other profiles' ``reassignTo``. An ``applyToAll`` with the profile is always
            removed, because it was confirmed for that route.
        current: the account in the store; None if the store does not have it. Domains that use the
            profile there without declaring it declare the replacement.
        store_known: whether a store was read. Without one it is unknown which domains do.

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
                f"Profile {name} of account {key} is to be deleted and cannot replace itself.",
                account=key,
            )
        )
    if isinstance(replacement, Route):
        check_profile(tree, key, replacement)
    references = References(tree, profile)
    if replacement is None and (blockers := _blockers(tree, profile, references)):
        raise ProblemError(*blockers)
    proposal = Proposal(tree)
    new = replacement if isinstance(replacement, Route) else None
    _replace_references(proposal, references, new)
    if profile.domain is None:
        proposal.remove(profile.where)
        proposal.describe(
            profile.where.at("metadata", "name"), f"profile {name} of account {key}: deleted"
        )
    if not store_known:
        proposal.notes.append(unknown_users(tree, profile))
    elif current is not None:
        _replace_in_store(proposal, profile, references.undeclared(current), new)
    return proposal


def _replace_references(proposal: Proposal, references: References, new: Route | None) -> None:
    for domain in references.domains:
        _replace_in_domain(proposal, domain, new)
    for account in references.defaults:
        _replace_default(proposal, account, new)
    for account in references.apply_alls:
        remove_apply_all(proposal, account)
    for other in references.profiles:
        _replace_in_profile(proposal, other, new)


def _replace_in_store(
    proposal: Proposal, profile: EditedProfile, users: Sequence[EditedDomain], new: Route | None
) -> None:
    """Declare the replacement where no route is declared, and warn of the other domains that use
    the profile: what their manifests declare is their author's decision."""
    for domain in users:
        if new is not None and domain.route is None:
            declare(proposal, domain, new)
    left = [domain for domain in users if new is None or domain.route not in (None, new)]
    if left:
        proposal.notes.append(undeclared_users(proposal.tree, profile, left))


def _blockers(tree: EditTree, profile: EditedProfile, references: References) -> list[Finding]:
    """One finding for each reference, with only such replacements as would be accepted."""
    key = profile.key
    others = sorted({other.name for other in tree.profiles if other.key == key} - {profile.name})
    choices = ["managed"] if tree.offers_managed(key) else []
    choices += [f"profile {name}" for name in others[:5]]
    choices.append("unconfigured")
    hint = f"Choose what replaces it: {', '.join(choices)}, or no declared route."
    return [
        finding(
            "unknown-profile",
            f"{subject}, which is to be deleted.",
            hint=hint,
            remedy=DeleteProfile(key.namespace, key.name, profile.name),
            where=where,
            account=key,
        )
        for subject, where in references.described()
    ]


def _replace_in_domain(proposal: Proposal, domain: EditedDomain, new: Route | None) -> None:
    spec = proposal.spec(domain.where)
    if new is None:
        del spec["route"]
        spec.pop("overrides", None)  # it confirms the declared route, so it cannot stay alone
    else:
        spec["route"] = new.as_manifest()
    where = domain.where.at("spec", "route")
    message = f"route of {domain.name}: {domain.route} → {new or 'none declared'}"
    if domain.inline is not None:
        message += f"; the inline profile {domain.inline} is removed"
    proposal.describe(where, message)


def _replace_default(proposal: Proposal, account: EditedAccount, new: Route | None) -> None:
    spec = proposal.spec(account.where)
    old = route_of(account.spec.default_route)
    if new is None:
        del spec["defaultRoute"]
    else:
        spec["defaultRoute"] = new.as_manifest()
    shown = str(new) if new else "none (the plan default)"
    where = account.where.at("spec", "defaultRoute")
    proposal.describe(where, f"default of account {account.key}: {old} → {shown}")


def _replace_in_profile(proposal: Proposal, profile: EditedProfile, new: Route | None) -> None:
    path = fields_path(profile)
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
    old = reassign_to(profile)
    proposal.describe(where, f"reassignTo of profile {profile.name}: {old} → {shown}")
