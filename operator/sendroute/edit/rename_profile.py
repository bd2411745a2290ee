"""Give a profile another name, in its definition and in every reference.

A store knows a profile by its name only: the old one is removed there, and a new one is created. So
a domain that uses the old one without declaring it would be reassigned; if the store is available,
such domains declare the new one.
"""

from sendroute.edit.declare import check_new_profile, declare, remove_apply_all
from sendroute.edit.inline_profile import check_name_free
from sendroute.edit.proposal import Proposal
from sendroute.edit.references import References, fields_path, unknown_users
from sendroute.edit.tree import EditedProfile, EditTree
from sendroute.model.current import CurrentAccount
from sendroute.model.desired import AccountKey
from sendroute.model.route import via


def rename_profile(
    tree: EditTree,
    key: AccountKey,
    old: str,
    new: str,
    current: CurrentAccount | None = None,
    *,
    store_known: bool = False,
) -> Proposal:
    """Rename a profile.

    Args:
        tree: the manifests.
        key: the account.
        old: the name of the profile.
        new: its new name.
        current: the account in the store; None if the store does not have it.
        store_known: whether a store was read. Without one it is unknown which domains use the
            profile without declaring it, and whether an apply-all ran.

    Returns:
        The changes.

    Raises:
        ProblemError: the profile is unknown, or the new name is taken.
    """
    profile = tree.profile(key, old)
    proposal = Proposal(tree)
    if old == new:
        return proposal
    check_new_profile(tree, key, new)
    check_name_free(tree, key, new, profile.where)
    references = References(tree, profile)
    _rename_definition(proposal, profile, new)
    for domain in references.domains:
        if domain is not profile.domain:
            proposal.spec(domain.where)["route"] = {"profile": new}
            where = domain.where.at("spec", "route")
            proposal.describe(where, f"route of {domain.name}: profile {old} → profile {new}")
    for account in references.defaults:
        proposal.spec(account.where)["defaultRoute"] = {"profile": new}
        where = account.where.at("spec", "defaultRoute")
        proposal.describe(where, f"default of account {key}: profile {old} → profile {new}")
    for other in references.profiles:
        fields = proposal.value(other.where)
        for step in fields_path(other):
            fields = fields[step]
        fields["onDelete"]["reassignTo"] = {"profile": new}
        where = other.where.at(*fields_path(other), "onDelete", "reassignTo")
        proposal.describe(where, f"reassignTo of profile {other.name}: → profile {new}")
    _rename_in_apply_all(proposal, references, new, current)
    if current is not None:
        for domain in references.undeclared(current):
            declare(proposal, domain, via(new))
    elif not store_known:
        proposal.notes.append(unknown_users(tree, profile, ", because no store was read"))
    return proposal


def _rename_definition(proposal: Proposal, profile: EditedProfile, new: str) -> None:
    value = proposal.value(profile.where)
    if profile.domain is None:
        value["metadata"]["name"] = new
        where = profile.where.at("metadata", "name")
    else:
        value["spec"]["route"]["newProfile"]["name"] = new
        where = profile.where.at("spec", "route", "newProfile", "name")
    message = f"profile {profile.name} of account {profile.key}: renamed to {new}"
    proposal.describe(where, message)


def _rename_in_apply_all(
    proposal: Proposal, references: References, new: str, current: CurrentAccount | None
) -> None:
    """An apply-all that ran is removed, which changes nothing: its id may not run again, and with
    another route it would be refused."""
    for account in references.apply_alls:
        requested = proposal.spec(account.where)["applyToAll"]
        if current is not None and requested["id"] in current.completed_apply_alls:
            remove_apply_all(proposal, account, ", because it ran already")
            continue
        requested["route"] = {"profile": new}
        where = account.where.at("spec", "applyToAll", "route")
        message = f"apply-all of account {account.key}: {references.route} → profile {new}"
        proposal.describe(where, message)
