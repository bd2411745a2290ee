"""Step 3: every domain's route, by the first rule that matches."""

from sendroute.model.current import DomainState
from sendroute.model.desired import DesiredDomain
from sendroute.model.route import Origin, Route
from sendroute.planner.inputs import RouteContext


def decide_domain(
    desired: DesiredDomain, current: DomainState | None, context: RouteContext
) -> DomainState | None:
    """The domain's state after step 3; None if it waits for a profile that was not saved."""
    declared = desired.route
    if current is None:
        return _new(declared, context)
    if declared is not None and declared != current.declared:
        return _unless_waiting(declared, context)
    if current.shadow is not None:
        return _with_declared_route(current, declared)
    if declared is not None and declared in context.satisfiable:
        if declared == current.route and current.origin is Origin.DECLARED:
            return current
        return _unless_waiting(declared, context)
    return _with_declared_route(current, declared)


def settled(desired: DesiredDomain, current: DomainState, context: RouteContext) -> bool:
    """Whether the domain needs no decision. This fast check runs for every domain of a store."""
    declared = desired.route
    return (
        declared == current.declared
        and current.route in context.satisfiable
        and (
            declared is None
            or current.shadow is not None
            or (declared == current.route and current.origin is Origin.DECLARED)
        )
    )


def _new(declared: Route | None, context: RouteContext) -> DomainState | None:
    if declared is not None:
        return _unless_waiting(declared, context)
    start = context.default
    if start is None or start.profile in context.waiting:
        return None
    return DomainState(start, Origin.DEFAULT)


def _unless_waiting(declared: Route, context: RouteContext) -> DomainState | None:
    if declared.profile in context.waiting:
        return None
    return DomainState(declared, Origin.DECLARED, declared)


def _with_declared_route(current: DomainState, declared: Route | None) -> DomainState:
    """The same assigned route, with the route that the manifest declares now."""
    if declared == current.declared:
        return current
    return DomainState(current.route, current.origin, declared, current.shadow)
