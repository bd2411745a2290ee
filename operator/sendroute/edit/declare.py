"""What the edits share: a route written into a domain's document, keys put where they belong."""

from typing import Any

from sendroute.edit.extract_profile import extract
from sendroute.edit.proposal import Proposal
from sendroute.edit.tree import Domain, Tree, unknown_profile
from sendroute.model.desired import AccountKey
from sendroute.model.problem import ProblemError
from sendroute.model.route import Route


def declare(proposal: Proposal, domain: Domain, route: Route) -> None:
    """The domain's document declares ``route``. A profile that it defines in line is kept, in a
    document of its own: to declare another route is not to delete a profile."""
    if domain.route == route:
        return
    before = str(domain.route) if domain.route else "none"
    message = f"route of {domain.name}: {before} → {route}"
    spec = proposal.spec(domain.where)
    if domain.inline is not None:
        for profile in proposal.tree.profiles_of(domain.key, domain.inline):
            if profile.domain is domain:
                extract(proposal, profile)
        message += f"; profile {domain.inline} gets a document of its own"
    put_after(spec, "domain", "route", route.as_manifest())
    path = ("spec", "route") if domain.route else ("spec",)
    proposal.tell(domain.where.at(*path), message)


def put_after(mapping: dict[str, Any], anchor: str, key: str, value: Any) -> None:
    """A key's value where the key is there; else the key right behind ``anchor``."""
    if key in mapping or anchor not in mapping:
        mapping[key] = value
        return
    items = list(mapping.items())
    mapping.clear()
    for name, old in items:
        mapping[name] = old
        if name == anchor:
            mapping[key] = value


def check_profile(tree: Tree, key: AccountKey, route: Route | None) -> None:
    """Raises ProblemError for a profile that the account has not, as far as the tree tells: part
    of one, without the account's own document, may lack the profile's too."""
    if route is None or route.profile is None or key not in tree.accounts:
        return
    if not tree.profiles_of(key, route.profile):
        raise ProblemError(unknown_profile(tree, key, route.profile))
