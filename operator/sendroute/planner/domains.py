"""Step 3: every domain's route, by the first rule that matches."""

from sendroute.model.current import DomainState
from sendroute.model.desired import ApplyAll, DesiredDomain
from sendroute.model.route import Origin, Route
from sendroute.planner.inputs import RouteContext


def decide_domain(
    desired: DesiredDomain,
    current: DomainState | None,
    context: RouteContext,
    running: ApplyAll | None = None,
) -> DomainState | None:
    """The domain's state after step 3; None if it waits for a profile that was not saved.
    ``running`` is the apply-all that runs in this change."""
    declared = desired.route
    if current is None:
        return _new(desired, context)
    if newly_declared(desired, current):
        return _unless_waiting(desired, context)
    if _is_shadowed(desired, current, running):
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


def overrides(declared: Route | None, confirmed_after: str | None, apply_all: ApplyAll) -> bool:
    """Whether a domain keeps its declared route when an apply-all runs: its ``spec.overrides``,
    ``confirmed_after``, is the id of that apply-all (step 4)."""
    return declared is not None and confirmed_after == apply_all.id


def _is_shadowed(desired: DesiredDomain, current: DomainState, running: ApplyAll | None) -> bool:
    """Whether an apply-all that ran before shadows the domain still. Its own id in ``overrides``
    ends the shadow, and so does the id of a later one, in the change that runs it."""
    if current.shadow is None:
        return False
    if desired.route is None:
        return True
    return desired.overrides != current.shadow and (
        running is None or not overrides(desired.route, desired.overrides, running)
    )


def needs_no_decision(desired: DesiredDomain, current: DomainState, context: RouteContext) -> bool:
    """Whether a domain without a shadow needs no decision. This fast check runs for every domain of
    a store."""
    declared = desired.route
    return (
        declared == current.declared
        and desired.overrides == current.overrides
        and current.route in context.satisfiable
        and (declared is None or (declared == current.route and current.origin is Origin.DECLARED))
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
