"""``edit set-default``: what new domains of an account start with."""

from sendroute.edit.declare import check_profile, put_after
from sendroute.edit.proposal import Proposal
from sendroute.edit.tree import Tree
from sendroute.manifests.profiles import route_of
from sendroute.model.desired import AccountKey
from sendroute.model.route import Route


def set_default(tree: Tree, key: AccountKey, route: Route | None) -> Proposal:
    """None takes the default away: the plan's own serves."""
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
    none = "none (the plan's own)"
    proposal.tell(
        account.where.at(*path),
        f"default of account {key.name}: {before or none} → {route or none}",
    )
    return proposal
