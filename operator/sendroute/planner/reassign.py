"""Step 5: no domain stays on a route that is not satisfiable."""

from collections.abc import Mapping

from sendroute.model.codes import finding
from sendroute.model.current import DomainState
from sendroute.model.finding import Finding
from sendroute.model.route import UNCONFIGURED, Origin, Route
from sendroute.model.words import first_of
from sendroute.planner.inputs import AccountInput, RouteContext

_LISTED = 3
_TO_KEEP = "To keep the profile, declare it again in an SMTPProfile document of its own."


def reassigned(state: DomainState, context: RouteContext) -> DomainState:
    """Step 5 for one domain: the same state if its route is satisfiable, else the first of these
    that is: the declared route, the removed profile's ``onDelete.reassignTo``, the plan default."""
    if state.route in context.satisfiable:
        return state
    if state.declared is not None and state.declared in context.satisfiable:
        instead, origin = state.declared, Origin.DECLARED
    else:
        instead, origin = _instead_of(state.route, context), Origin.REASSIGNED
    return DomainState(instead, origin, state.declared, None, state.overrides)


def _instead_of(route: Route, context: RouteContext) -> Route:
    if route.profile is not None:
        removed = context.removed.get(route.profile)
        if removed is not None and removed.reassign_to in context.satisfiable:
            return removed.reassign_to
    return context.plan_default


def report_deletions(
    inputs: AccountInput, reassigned_domains: Mapping[str, Mapping[str, Route]]
) -> tuple[Finding, ...]:
    """One warning for each removed profile, with the names of some of its domains."""
    return tuple(
        finding(
            "profile-deleted",
            f"Profile {name} of account {inputs.key} is removed; {_outcome(domains)}:"
            f" {first_of(sorted(domains), _LISTED)}.",
            hint=inputs.claims.to_keep_profile(name, _TO_KEEP),
            where=inputs.desired.where,
            account=inputs.key,
        )
        for name, domains in sorted(reassigned_domains.items())
    )


def _outcome(routes: Mapping[str, Route]) -> str:
    """What becomes of domains, by their new routes."""
    count = len(routes)
    domains = "1 domain" if count == 1 else f"{count} domains"
    silent = sum(route == UNCONFIGURED for route in routes.values())
    if silent == count:
        return f"{domains} can no longer send"
    changed = f"{domains} {'gets' if count == 1 else 'get'} another route"
    return f"{changed}, and {silent} of them can no longer send" if silent else changed
