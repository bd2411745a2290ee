"""Steps 3 to 6 over every domain of one account."""

from operator import attrgetter

from msgspec import Struct

from sendroute.model.change import Action, DomainChange, Shadowed
from sendroute.model.codes import finding
from sendroute.model.current import DomainState
from sendroute.model.desired import ApplyAll, DesiredDomain
from sendroute.model.finding import Finding, Where
from sendroute.model.route import Origin
from sendroute.planner.apply_all import edited_too, switched
from sendroute.planner.domains import decide_domain, settled
from sendroute.planner.inputs import AccountInput, RouteContext
from sendroute.planner.reassign import reassigned
from sendroute.planner.removals import remove_domain


class DomainChanges(Struct):
    """Gathered on the way. ``fallen``: the domains that lost each profile, by its name;
    ``matched`` counts the held domains that a manifest declares."""

    changes: list[DomainChange] = []
    findings: list[Finding] = []
    shadowed: list[Shadowed] = []
    fallen: dict[str, list[str]] = {}
    matched: int = 0


def count_after(case: AccountInput, context: RouteContext) -> int:
    """How many domains the account has after steps 3 and 6, which an apply-all would switch."""
    current, claims = case.current.domains, case.claims
    declared = set()
    count = 0
    for desired in case.desired.domains:
        declared.add(desired.domain)
        if desired.domain in current:
            count += 1
        elif desired.domain not in claims.denied and not desired.suspended:
            count += decide_domain(desired, None, context) is not None
    return count + sum(_stays(case, name) for name in current if name not in declared)


def still_used(case: AccountInput, context: RouteContext) -> dict[str, str]:
    """The profiles that were to be removed, but that a domain stays on because its edit waits for
    a profile that was not saved: profile name → the first such domain."""
    used: dict[str, str] = {}
    if not context.removed or not context.waiting:
        return used
    for desired in case.desired.domains:
        current = case.current.domains.get(desired.domain)
        if current is None or desired.suspended or current.route.profile not in context.removed:
            continue
        if decide_domain(desired, current, context) is None:
            first = used.get(current.route.profile, desired.domain)
            used[current.route.profile] = min(first, desired.domain)
    return used


def plan_domains(
    case: AccountInput, context: RouteContext, asked: ApplyAll | None
) -> DomainChanges:
    """``asked`` is the apply-all that runs in this change, None where there is none."""
    domain_changes = DomainChanges()
    current_domains = case.current.domains
    for desired in case.desired.domains:
        current = current_domains.get(desired.domain)
        if current is not None:
            domain_changes.matched += 1
            if asked is None and current.shadow is None and settled(desired, current, context):
                continue
        elif desired.domain in case.claims.denied:
            _denied(case, desired, domain_changes)
            continue
        _declared(case, context, asked, desired, current, domain_changes)
    if domain_changes.matched < len(current_domains):
        _absent(case, context, asked, domain_changes)
    # The order of documents never shows.
    domain_changes.changes.sort(key=attrgetter("name"))
    domain_changes.findings.sort(key=lambda found: (found.code, found.message))
    domain_changes.shadowed.sort(key=lambda shadowed: shadowed.domain)
    return domain_changes


def _declared(
    case: AccountInput,
    context: RouteContext,
    asked: ApplyAll | None,
    desired: DesiredDomain,
    current: DomainState | None,
    domain_changes: DomainChanges,
) -> None:
    """One domain that a manifest declares: steps 3, 4 and 5."""
    if desired.suspended:
        if current is not None:
            _land(case, context, desired.domain, desired.where, current, current, domain_changes)
        return
    state = decide_domain(desired, current, context)
    waits = state is None
    if asked is not None and (current is not None or not waits):
        domain_changes.findings += edited_too(case, desired, current, asked)
        state, waits = switched(desired.route, asked), False
    state = state or current
    if state is not None:
        state = _land(case, context, desired.domain, desired.where, current, state, domain_changes)
        if state.shadow is not None and desired.route not in (None, state.route):
            domain_changes.shadowed.append(
                Shadowed(case.key, desired.domain, desired.route, state.route, state.shadow)
            )
    if waits:
        route = desired.route or case.desired.default
        _skip(
            case,
            desired,
            current,
            state,
            f"it depends on {route}, which was not saved",
            domain_changes,
        )


def _absent(
    case: AccountInput, context: RouteContext, asked: ApplyAll | None, domain_changes: DomainChanges
) -> None:
    """Domains that are held but not declared: step 6, unless they stay for another's claim."""
    declared = {desired.domain for desired in case.desired.domains}
    where = case.desired.where
    for name, current in case.current.domains.items():
        if name in declared:
            continue
        if not _stays(case, name):
            domain_changes.changes.append(
                remove_domain(case.key, name, current, case.claims, where)
            )
            continue
        state = current if asked is None else switched(current.declared, asked)
        _land(case, context, name, where, current, state, domain_changes)


def _stays(case: AccountInput, name: str) -> bool:
    return name in case.claims.retained or name in case.desired.contested


def _land(
    case: AccountInput,
    context: RouteContext,
    name: str,
    where: Where,
    current: DomainState | None,
    decided: DomainState,
    domain_changes: DomainChanges,
) -> DomainState:
    """Step 5 for one domain, and the change where there is any."""
    state = reassigned(decided, context)
    if state == current:
        return state
    fell = state is not decided
    if fell and decided.route.profile is not None:
        domain_changes.fallen.setdefault(decided.route.profile, []).append(name)
    source = case.claims.incoming.get(name) if current is None else None
    domain_changes.changes.append(
        DomainChange(
            case.key,
            name,
            _action(current, state, fell),
            current,
            state,
            _reason(current, state),
            f"{name} moves from {source}." if source else _message(name, current, state, fell),
            where.at("spec", "route"),
        )
    )
    return state


def _action(current: DomainState | None, state: DomainState, fell: bool) -> Action:
    if current is None:
        return Action.CREATE
    if current.route == state.route:
        return Action.UPDATE
    return Action.REASSIGN if fell else Action.REROUTE


def _reason(current: DomainState | None, state: DomainState) -> str:
    """The new origin, or what else was recorded where route and origin stay."""
    if current is None or (current.route, current.origin) != (state.route, state.origin):
        return str(state.origin)
    if current.shadow != state.shadow:
        return "shadow" if state.shadow is not None else "shadow-ended"
    return "declaration-removed" if state.declared is None else "declaration-changed"


def _message(name: str, current: DomainState | None, state: DomainState, fell: bool) -> str:
    if current is not None and current.route == state.route:
        return _recorded(name, current, state)
    if fell:
        gone = "" if current is None else f", because {current.route} is no longer satisfiable"
        return f"{name} is reassigned to {state.route}{gone}."
    match state.origin:
        case Origin.DECLARED:
            return f"The manifest of {name} declares {state.route}."
        case Origin.DEFAULT:
            return f"{name} is new and declares no route: it starts on the default, {state.route}."
        case Origin.APPLY_ALL:
            return f"The apply-all {state.shadow} switches it to {state.route}."
        case Origin.REASSIGNED:
            return f"{name} is reassigned to {state.route}."


def _recorded(name: str, current: DomainState, state: DomainState) -> str:
    if state.shadow is not None and current.shadow != state.shadow:
        return f"The apply-all {state.shadow} keeps it on {state.route}."
    if current.origin != state.origin or current.shadow != state.shadow:
        return f"{name} stays on {state.route}, now because its manifest declares it."
    if state.declared is None:
        return f"The manifest of {name} declares no route any more; it stays on {state.route}."
    return f"The manifest of {name} declares {state.declared}; it stays on {state.route}."


def _denied(case: AccountInput, desired: DesiredDomain, domain_changes: DomainChanges) -> None:
    """A conflict has its own finding; a move that has to wait is told as a skip."""
    source = case.claims.waiting.get(desired.domain)
    if source is not None and not desired.suspended:
        why = f"account {source}, which holds it, is not changed now"
        _skip(case, desired, None, None, why, domain_changes)


def _skip(
    case: AccountInput,
    desired: DesiredDomain,
    current: DomainState | None,
    state: DomainState | None,
    why: str,
    domain_changes: DomainChanges,
) -> None:
    """``state`` is what the domain has after the change: rule 5 spares no skipped domain."""
    now = "is not created" if state is None else f"does not get what it declares ({state.route})"
    if state is not None and state == current:
        now = f"stays on {current.route}"
    message = f"{desired.domain} {now}, because {why}."
    where = desired.where.at("spec", "route")
    if state == current:
        skip = (Action.SKIP, current, current, "dependency-skipped", message, where)
        domain_changes.changes.append(DomainChange(case.key, desired.domain, *skip))
    domain_changes.findings.append(
        finding(
            "dependency-skipped",
            message,
            hint="The next apply tries again.",
            where=where,
            account=case.key,
        )
    )
