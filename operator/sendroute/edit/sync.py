"""Declare the assigned route if it differs from the declared one after an apply-all or a
reassignment. Changes made since the last apply are never overwritten."""

from collections import Counter
from collections.abc import Mapping

from msgspec.structs import replace

from sendroute.edit.declare import declare
from sendroute.edit.inline_profile import not_extractable
from sendroute.edit.proposal import Proposal
from sendroute.edit.tree import EditedDomain, EditTree
from sendroute.model.codes import finding
from sendroute.model.current import CurrentAccount, DomainState
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Severity
from sendroute.model.remedy import RenameProfile, SetRoute


def sync(tree: EditTree, current: Mapping[AccountKey, CurrentAccount]) -> Proposal:
    """Declare the assigned routes. Domains without a declared route, or unknown to the store, are
    left unchanged.

    Args:
        tree: the manifests.
        current: the accounts in the store.

    Returns:
        The changes, with a note for each domain that differs and is left unchanged.

    Raises:
        ProblemError: a file has errors.
    """
    proposal = Proposal(tree)
    claims = Counter(domain.name for domain in tree.domains)
    for domain in tree.domains:
        account = current.get(domain.key)
        state = account.domains.get(domain.name) if account else None
        if state is None or domain.route in (None, state.route) or claims[domain.name] > 1:
            continue
        note = _reason_to_keep(tree, domain, state) or _not_extractable(proposal, domain, state)
        if note is not None:
            proposal.notes.append(note)
        else:
            declare(proposal, domain, state.route)
    return proposal


def _reason_to_keep(tree: EditTree, domain: EditedDomain, state: DomainState) -> Finding | None:
    """Why a differing declared route is left unchanged; None if it is rewritten."""
    where = domain.where.at("spec", "route")
    profile = state.route.profile
    is_missing = profile is not None and not tree.profiles_of(domain.key, profile)
    if domain.is_pending(state):
        # A profile that was renamed or deleted since the last apply cannot be declared.
        is_choice = not is_missing or domain.key not in tree.accounts
        return finding(
            "out-of-sync",
            f"The manifest of {domain.name} keeps its declared route, {domain.route}, which is not"
            " applied yet.",
            hint="Apply the change, or declare the assigned route."
            if is_choice
            else "Apply the change.",
            remedy=SetRoute(domain.name, state.route) if is_choice else None,
            where=where,
            account=domain.key,
            severity=Severity.INFO,
        )
    if is_missing:
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


def _not_extractable(
    proposal: Proposal, domain: EditedDomain, state: DomainState
) -> Finding | None:
    """Why the profile that a domain defines inline keeps the domain's route from being rewritten;
    None if it does not."""
    for profile in proposal.tree.profiles_of(domain.key, domain.inline or ""):
        problem = not_extractable(proposal, profile) if profile.domain is domain else None
        if problem is not None and isinstance(problem.remedy, RenameProfile):
            return replace(
                problem,
                message=f"The manifest of {domain.name} keeps its declared route."
                f" {problem.message}",
                hint="Names are unique in a namespace. Rename this profile and declare the assigned"
                " route, before you apply.",
                remedy=replace(problem.remedy, then=SetRoute(domain.name, state.route)),
                severity=Severity.WARNING,
            )
    return None
