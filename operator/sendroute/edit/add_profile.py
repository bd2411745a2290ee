"""A new SMTPProfile next to the account's others, in their style."""

from typing import Any

from sendroute.edit.declare import check_new_profile
from sendroute.edit.documents import NewDocument
from sendroute.edit.inline_profile import check_name_free
from sendroute.edit.placement import Sibling, check_document, document, placement_among
from sendroute.edit.proposal import Proposal
from sendroute.edit.tree import EditTree
from sendroute.model.codes import Code
from sendroute.model.desired import AccountKey


def add_profile(
    tree: EditTree, key: AccountKey, name: str, fields: dict[str, Any], file: str | None = None
) -> Proposal:
    """Add an SMTPProfile to an account.

    Args:
        tree: the manifests.
        key: the account.
        name: the profile.
        fields: those of the manifest, without the account.
        file: the file to add it to; a new one if the tree has none of that name.

    Returns:
        The changes.

    Raises:
        ProblemError: the profile exists, or a value is invalid.
    """
    account = tree.account(key)
    check_new_profile(tree, key, name)
    check_name_free(tree, key, name, account.where)
    siblings = [
        Sibling(profile.where, profile.name)
        for profile in tree.profiles
        if profile.key == key and profile.domain is None
    ]
    placement = placement_among(tree, siblings, name, account.where, file)
    spec = {"account": key.name, **fields}
    value = document("SMTPProfile", name, key, spec, tree, placement.model)
    check_document(key, value)
    proposal = Proposal(tree)
    placement.put(proposal, NewDocument(value))
    proposal.expected = Code.PROFILE_UNUSED  # until something refers to it
    message = f"new profile {name} of account {key}, in {placement.file}"
    proposal.describe(None, message)
    return proposal
