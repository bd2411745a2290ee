"""Move a profile that is defined inline into a separate document."""

from sendroute.edit.inline_profile import extract
from sendroute.edit.proposal import Proposal
from sendroute.edit.tree import EditTree
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.problem import ProblemError


def extract_profile(tree: EditTree, key: AccountKey, name: str) -> Proposal:
    """Move an inline profile into a separate document.

    Args:
        tree: the manifests.
        key: the account.
        name: the profile.

    Returns:
        The changes.

    Raises:
        ProblemError: the profile is unknown or already has a separate document.
    """
    proposal = Proposal(tree)
    profile = tree.profile(key, name)
    domain = profile.domain
    if domain is None:
        raise ProblemError(
            finding(
                "invalid-value",
                f"Profile {name} of account {key} already has a separate document.",
                hint="No change is needed.",
                where=profile.where.at("metadata", "name"),
                account=key,
            )
        )
    extract(proposal, profile, domain)
    proposal.spec(domain.where)["route"] = {"profile": name}
    message = f"profile {name} of {domain.name} moves to a separate document"
    proposal.describe(domain.where.at("spec", "route", "newProfile"), message)
    return proposal
