"""Step 3: every domain's route, by the first rule that matches."""

from sendroute.model.current import DomainState
from sendroute.model.desired import DesiredDomain
from sendroute.model.route import Origin
from sendroute.planner.inputs import RouteContext


def decide_domain(
    desired: DesiredDomain, current: DomainState | None, context: RouteContext
) -> DomainState | None:
    """The domain's state after step 3; None if it waits for a profile that was not saved."""
    declared = desired.route
    if current is None:
        return _new(desired, context)
    if newly_declared(desired, current):
        return _unless_waiting(desired, context)
    if current.shadow is not None:
        return _with_declaration(current, desired)
    if declared is not None and declared in context.satisfiable:
        if declared == current.route and current.origin is Origin.DECLARED:
            return _with_declaration(current, desired)
        return _unless_waiting(desired, context)
    return _with_declaration(current, desired)


def newly_declared(desired: DesiredDomain, current: DomainState | None) -> bool:
    """Whether a declared route is present and differs from the one last seen.

    The ``overrides`` beside it is part of it: a new one confirms the same route once more. Without
    one, what was seen before is no difference: removing ``overrides`` changes no route.
    """
    if desired.route is None:
        return False
    if current is None or desired.route != current.declared:
        return True
    return desired.overrides not in (None, current.overrides)


def needs_no_decision(desired: DesiredDomain, current: DomainState, context: RouteContext) -> bool:
    """Whether the domain needs no decision. This fast check runs for every domain of a store."""
    declared = desired.route
    return (
        declared == current.declared
        and desired.overrides == current.overrides
        and current.route in context.satisfiable
        and (
            declared is None
            or current.shadow is not None
            or (declared == current.route and current.origin is Origin.DECLARED)
        )
    )


def _new(desired: DesiredDomain, context: RouteContext) -> DomainState | None:
    if desired.route is not None:
        return _unless_waiting(desired, context)
    start = context.default
    if start is None or start.profile in context.unsaved:
        return None
    return DomainState(start, Origin.DEFAULT)


def _unless_waiting(desired: DesiredDomain, context: RouteContext) -> DomainState | None:
    declared = desired.route
    if declared is None or declared.profile in context.unsaved:
        return None
    return DomainState(declared, Origin.DECLARED, declared, None, desired.overrides)


def _with_declaration(current: DomainState, desired: DesiredDomain) -> DomainState:
    """The same assigned route, with what the manifest declares now."""
    declared, overrides = desired.route, desired.overrides
    if (declared, overrides) == (current.declared, current.overrides):
        return current
    return DomainState(current.route, current.origin, declared, current.shadow, overrides)
