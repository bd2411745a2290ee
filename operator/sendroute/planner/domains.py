"""Step 3: every domain's route, by the first line that fits."""

from sendroute.model.held import DomainState
from sendroute.model.route import Origin, Route
from sendroute.model.wanted import WantedDomain
from sendroute.planner.case import Terms


def decide_domain(
    wanted: WantedDomain, held: DomainState | None, terms: Terms
) -> DomainState | None:
    """The domain's state after step 3; None where it waits for a profile that was not saved."""
    declared = wanted.route
    if held is None:
        return _new(declared, terms)
    if declared is not None and declared != held.declared:
        return _unless_waiting(declared, terms)
    if held.shadow is not None:
        return _seen(held, declared)
    if declared is not None and declared in terms.satisfiable:
        if declared == held.route and held.origin is Origin.DECLARED:
            return held
        return _unless_waiting(declared, terms)
    return _seen(held, declared)


def settled(wanted: WantedDomain, held: DomainState, terms: Terms) -> bool:
    """Whether nothing at all is to be decided: the cheap question asked of a million domains."""
    declared = wanted.route
    return (
        declared == held.declared
        and held.route in terms.satisfiable
        and (
            declared is None
            or held.shadow is not None
            or (declared == held.route and held.origin is Origin.DECLARED)
        )
    )


def _new(declared: Route | None, terms: Terms) -> DomainState | None:
    if declared is not None:
        return _unless_waiting(declared, terms)
    start = terms.default
    if start is None or start.profile in terms.waiting:
        return None
    return DomainState(start, Origin.DEFAULT)


def _unless_waiting(declared: Route, terms: Terms) -> DomainState | None:
    if declared.profile in terms.waiting:
        return None
    return DomainState(declared, Origin.DECLARED, declared)


def _seen(held: DomainState, declared: Route | None) -> DomainState:
    """The same route; what the manifest declares now is remembered."""
    if declared == held.declared:
        return held
    return DomainState(held.route, held.origin, declared, held.shadow)
