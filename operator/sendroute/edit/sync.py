"""Declare the assigned route if it differs from the declared one after an apply-all or a
reassignment. Changes made since the last apply are never overwritten."""

from collections import Counter
from collections.abc import Mapping

from sendroute.edit.declare import declare
from sendroute.edit.proposal import Proposal
from sendroute.edit.tree import EditedDomain, EditTree
from sendroute.model.codes import finding
from sendroute.model.current import CurrentAccount, DomainState
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Severity
from sendroute.model.remedy import SetRoute


def sync(tree: EditTree, current: Mapping[AccountKey, CurrentAccount]) -> Proposal:
    """Declare the assigned routes. Domains without a declared route, or unknown to the store, are
    left unchanged.

    Args:
        tree: the manifests.
        current: the accounts in the store.

    Returns:
        The changes, with a note for each domain that differs and is left unchanged.

    Raises:
        ProblemError: an inline profile cannot get a separate document, or a file has errors.
    """
    proposal = Proposal(tree)
    claims = Counter(domain.name for domain in tree.domains)
    for domain in tree.domains:
        account = current.get(domain.key)
        state = account.domains.get(domain.name) if account else None
        if state is None or domain.route in (None, state.route) or claims[domain.name] > 1:
            continue
        note = _reason_to_keep(tree, domain, state)
        if note is not None:
            proposal.notes.append(note)
        else:
            declare(proposal, domain, state.route)
    return proposal


def _reason_to_keep(tree: EditTree, domain: EditedDomain, state: DomainState) -> Finding | None:
    """Why a differing declared route is left unchanged; None if it is rewritten."""
    where = domain.where.at("spec", "route")
    if (state.declared, domain.overrides or state.overrides) != (domain.route, state.overrides):
        return finding(
            "out-of-sync",
            f"The manifest of {domain.name} keeps its declared route, {domain.route}, which is not"
            " applied yet.",
            hint="Apply the change, or declare the assigned route.",
            remedy=SetRoute(domain.name, state.route),
            where=where,
            account=domain.key,
            severity=Severity.INFO,
        )
    profile = state.route.profile
    if profile is not None and not tree.profiles_of(domain.key, profile):
        return finding(
            "unknown-profile",
            f"The manifest of {domain.name} keeps its declared route: the assigned profile"
            f" {profile} is not defined in the given manifests.",
            hint="Add the file that defines the profile, or apply the profile's removal first.",
            where=where,
            account=domain.key,
            severity=Severity.WARNING,
        )
    return None
