"""``edit set-route``: a domain's declared route."""

from collections.abc import Callable

from msgspec import UNSET

from sendroute.edit.declare import check_profile, confirm, declare
from sendroute.edit.domains import checked_name, find_domain
from sendroute.edit.proposal import Proposal
from sendroute.edit.tree import EditTree
from sendroute.model.desired import AccountKey
from sendroute.model.route import Route


def set_route(
    tree: EditTree,
    name: str,
    route: Route,
    key: AccountKey | None = None,
    *,
    overrides: str | None = None,
    shadow_of: Callable[[AccountKey, str], str | None] = lambda _key, _domain: None,
) -> Proposal:
    """Declare a domain's route.

    If the document declares the route already, an apply-all may shadow it. Then the document states
    that its route overrides that apply-all: the given one, else that of the account's manifest,
    else that of the store (rules: apply-all).

    Args:
        tree: the manifests.
        name: the domain.
        route: the route to declare.
        key: the account, if two accounts declare the domain.
        overrides: the id of the apply-all that the route overrides; None to find it.
        shadow_of: the id of the apply-all that shadows a domain of an account in the store; None
            without one, or without a store.

    Returns:
        The changes.

    Raises:
        ProblemError: the domain or profile is unknown, or the domain is declared twice.
    """
    domain = find_domain(tree, checked_name(name), key, may_be_added=True)
    check_profile(tree, domain.key, route)
    proposal = Proposal(tree)
    declare(proposal, domain, route)
    if overrides is None and domain.route == route:
        overrides = _requested_apply_all(tree, domain.key) or shadow_of(domain.key, domain.name)
    if overrides is not None:
        confirm(proposal, domain._replace(route=route), overrides)
    return proposal


def _requested_apply_all(tree: EditTree, key: AccountKey) -> str | None:
    """The id of the apply-all in the account's manifest; None without one."""
    for account in tree.accounts.get(key, ()):
        if account.spec.apply_to_all is not UNSET:
            return account.spec.apply_to_all.id
    return None
