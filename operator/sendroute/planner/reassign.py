"""Step 5: no domain stays on a route that cannot be had."""

from collections.abc import Iterable

from sendroute.model.change import Change
from sendroute.model.codes import finding
from sendroute.model.finding import Finding
from sendroute.model.held import DomainState
from sendroute.model.route import Origin, Route
from sendroute.planner.case import Case, Terms


def reassigned(state: DomainState, terms: Terms) -> DomainState:
    """The state itself where its route is satisfiable; else the first that is of: the declared
    route, the removed profile's ``onDelete.reassignTo``, the plan's baseline. A shadow ends."""
    if state.route in terms.satisfiable:
        return state
    if state.declared is not None and state.declared in terms.satisfiable:
        return DomainState(state.declared, Origin.DECLARED, state.declared)
    return DomainState(_instead_of(state.route, terms), Origin.REASSIGNED, state.declared)


def _instead_of(route: Route, terms: Terms) -> Route:
    if route.profile is not None:
        removed = terms.removed.get(route.profile)
        if removed is not None and removed.reassign_to in terms.satisfiable:
            return removed.reassign_to
    return terms.baseline


def tell_deletions(case: Case, terms: Terms, changes: Iterable[Change]) -> tuple[Finding, ...]:
    """One warning a removed profile that domains were sent through, naming some of them."""
    left: dict[str, list[str]] = {}
    for change in changes:
        before, after = change.before, change.after
        if not isinstance(before, DomainState) or not isinstance(after, DomainState):
            continue
        profile = before.route.profile
        if profile in terms.removed and before.route != after.route:
            left.setdefault(profile, []).append(change.name)
    return tuple(
        finding(
            "profile-deleted",
            f"Profile {name} is deleted; {_count(domains)} another route: {_some(domains)}.",
            hint="To keep it, declare it in an SMTPProfile document of its own.",
            where=case.wanted.where,
            account=case.key,
        )
        for name, domains in sorted(left.items())
    )


def _count(domains: list[str]) -> str:
    return "1 domain gets" if len(domains) == 1 else f"{len(domains)} domains get"


def _some(domains: list[str], most: int = 3) -> str:
    more = len(domains) - most
    return ", ".join(domains[:most]) + (f" and {more} more" if more > 0 else "")
