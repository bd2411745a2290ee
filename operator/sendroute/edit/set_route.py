"""The declared route of a domain."""

from collections.abc import Callable

from msgspec import UNSET

from sendroute.edit.declare import check_profile, confirm, declare
from sendroute.edit.domains import checked_name, find_domain
from sendroute.edit.proposal import Proposal
from sendroute.edit.tree import EditedDomain, EditTree
from sendroute.model.current import CurrentAccount
from sendroute.model.desired import AccountKey
from sendroute.model.route import Route


def set_route(
    tree: EditTree,
    name: str,
    route: Route,
    key: AccountKey | None = None,
    *,
    overrides: str | None = None,
    stored: Callable[[AccountKey], CurrentAccount | None] = lambda _key: None,
) -> Proposal:
    """Declare a domain's route.

    An apply-all may shadow the route, or be about to. Then the document states that its route
    overrides that apply-all (rules: apply-all): the given one; else that of the account's manifest,
    unless the store says that it ran; else the one that shadows the domain in the store, if the
    document or the store has this route as declared already. Without the domain in a store, that of
    the account's manifest.

    Args:
        tree: the manifests.
        name: the domain.
        route: the route to declare.
        key: the account, if two accounts declare the domain.
        overrides: the id of the apply-all that the route overrides; None to find it.
        stored: an account in the store; None if it has none, or without a store.

    Returns:
        The changes.

    Raises:
        ProblemError: the domain or profile is unknown, or the domain is declared twice.
    """
    domain = find_domain(tree, checked_name(name), key, may_be_added=True)
    check_profile(tree, domain.key, route)
    proposal = Proposal(tree)
    declare(proposal, domain, route)
    if overrides is None:
        overrides = _to_override(tree, domain, route, stored(domain.key))
    if overrides is not None:
        confirm(proposal, domain._replace(route=route), overrides)
    return proposal


def _to_override(
    tree: EditTree, domain: EditedDomain, route: Route, account: CurrentAccount | None
) -> str | None:
    """The id of the apply-all that the route must override to become the domain's; None if the next
    apply gives the domain this route anyway."""
    requested = _requested_apply_all(tree, domain.key)
    if requested is not None and (account is None or requested not in account.completed_apply_alls):
        return requested  # it may run in the same change, and would win
    state = account.domains.get(domain.name) if account is not None else None
    if state is None:
        return requested if domain.route == route else None
    return state.shadow if route in (domain.route, state.declared) else None


def _requested_apply_all(tree: EditTree, key: AccountKey) -> str | None:
    """The id of the apply-all in the account's manifest; None without one."""
    for account in tree.accounts.get(key, ()):
        if account.spec.apply_to_all is not UNSET:
            return account.spec.apply_to_all.id
    return None
