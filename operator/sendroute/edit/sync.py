"""``sync``: declared routes become what is assigned, where an apply-all or a reassignment made the
two differ. What an author changed since the last apply is never overwritten."""

from collections import Counter
from collections.abc import Mapping

from sendroute.edit.declare import declare
from sendroute.edit.proposal import Proposal
from sendroute.edit.tree import Domain, Tree
from sendroute.model.codes import finding
from sendroute.model.current import CurrentAccount, DomainState
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Severity
from sendroute.model.remedy import Perform, Task


def sync(tree: Tree, current: Mapping[AccountKey, CurrentAccount]) -> Proposal:
    """Domains without a declared route stay so; so do those that the store does not know."""
    proposal = Proposal(tree)
    claims = Counter(domain.name for domain in tree.domains)
    for domain in tree.domains:
        account = current.get(domain.key)
        state = account.domains.get(domain.name) if account else None
        if state is None or domain.route in (None, state.route) or claims[domain.name] > 1:
            continue
        note = _kept(tree, domain, state)
        if note is not None:
            proposal.notes.append(note)
        else:
            declare(proposal, domain, state.route)
    return proposal


def _kept(tree: Tree, domain: Domain, state: DomainState) -> Finding | None:
    """Why a declared route is left as it is, where it is."""
    where = domain.where.at("spec", "route")
    if state.declared != domain.route:
        return finding(
            "out-of-sync",
            f"The declared route of {domain.name} was changed since the last apply, so it stays.",
            hint="Apply the change, or declare the assigned route.",
            remedy=Perform(Task.SET_ROUTE, domain.name),
            where=where,
            account=domain.key,
            severity=Severity.INFO,
        )
    profile = state.route.profile
    if profile is not None and not tree.profiles_of(domain.key, profile):
        return finding(
            "unknown-profile",
            f"{domain.name} is assigned to profile {profile}, which these manifests do not "
            "define, so its declared route stays.",
            hint="Name the folder that holds the profile too, or apply its deletion first.",
            where=where,
            account=domain.key,
            severity=Severity.WARNING,
        )
    return None
