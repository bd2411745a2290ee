"""The default route of an account, for new domains."""

from sendroute.edit.declare import check_profile, put_after
from sendroute.edit.proposal import Proposal
from sendroute.edit.tree import EditTree
from sendroute.manifests.profiles import route_of
from sendroute.model.desired import AccountKey
from sendroute.model.route import Route


def set_default(tree: EditTree, key: AccountKey, route: Route | None) -> Proposal:
    """Declare an account's default route.

    Args:
        tree: the manifests.
        key: the account.
        route: the default; None removes it, so that the plan default applies.

    Returns:
        The changes.

    Raises:
        ProblemError: the account or profile is unknown.
    """
    account = tree.account(key)
    check_profile(tree, key, route)
    proposal = Proposal(tree)
    before = route_of(account.spec.default_route)
    if before == route:
        return proposal
    spec = proposal.spec(account.where)
    if route is None:
        del spec["defaultRoute"]
    else:
        put_after(spec, "plan", "defaultRoute", route.as_manifest())
    path = ("spec", "defaultRoute") if before else ("spec",)
    none = "none (the plan default)"
    proposal.describe(
        account.where.at(*path),
        f"default of account {key}: {before or none} → {route or none}",
    )
    return proposal
