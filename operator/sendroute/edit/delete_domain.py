"""Delete a domain's document. A profile that it defines inline is kept."""

from sendroute.edit.documents import can_follow
from sendroute.edit.domains import checked_name, find_domain
from sendroute.edit.inline_profile import extract
from sendroute.edit.placement import Placement
from sendroute.edit.proposal import Proposal
from sendroute.edit.tree import EditedDomain, EditedProfile, EditTree
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import ExtractProfile


def delete_domain(tree: EditTree, name: str, key: AccountKey | None = None) -> Proposal:
    """Delete a domain. A profile that its document defines inline moves to a separate document,
    because the whole account can use it.

    Args:
        tree: the manifests.
        name: the domain.
        key: the account, if two accounts declare the domain.

    Returns:
        The changes.

    Raises:
        ProblemError: the domain is unknown or declared twice, or no other document of the account
            is there to put its profile behind.
    """
    domain = find_domain(tree, checked_name(name), key)
    proposal = Proposal(tree)
    message = f"domain {domain.name} of account {domain.key}: deleted"
    for profile in tree.profiles_of(domain.key, domain.inline or ""):
        if profile.domain is domain:
            extract(proposal, profile, domain, _beside_others(tree, domain, profile))
            message += f"; profile {profile.name} moves to a separate document"
    proposal.remove(domain.where)
    proposal.describe(domain.where.at("spec", "domain"), message)
    return proposal


def _beside_others(tree: EditTree, domain: EditedDomain, profile: EditedProfile) -> Placement:
    """Behind another document of the account, if possible in the same file."""
    others = [
        where
        for where in tree.documents_of(domain.key)
        if where != domain.where
        and where.file not in tree.broken
        and can_follow(tree.layout(where.file), tree.document(where))
    ]
    if not others:
        raise ProblemError(
            finding(
                "edit-by-hand",
                f"The document of {domain.name} defines profile {profile.name}, and no other"
                f" document of account {domain.key} is given.",
                hint="Move the profile to a separate document first.",
                remedy=ExtractProfile(domain.key.namespace, domain.key.name, profile.name),
                where=profile.where.at("spec", "route", "newProfile"),
                account=domain.key,
            )
        )
    near = [where for where in others if where.file == domain.where.file] or others
    return Placement.after_document(near[-1])
