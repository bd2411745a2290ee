"""Steps 3 to 6 over every domain of one account."""

from msgspec import Struct

from sendroute.model.change import Action, Change, Kind, Shadowed
from sendroute.model.codes import finding
from sendroute.model.finding import Finding, Where
from sendroute.model.held import DomainState
from sendroute.model.route import Origin
from sendroute.model.wanted import ApplyAll, WantedDomain
from sendroute.planner.apply_all import edited_too, switched
from sendroute.planner.case import Case, Terms
from sendroute.planner.domains import decide_domain, settled
from sendroute.planner.reassign import reassigned
from sendroute.planner.removals import remove_domain


class Swept(Struct):
    """Gathered on the way; ``matched`` counts the held domains that a manifest declares."""

    changes: list[Change] = []
    findings: list[Finding] = []
    shadowed: list[Shadowed] = []
    matched: int = 0


def count_after(case: Case, terms: Terms) -> int:
    """How many domains the account has after steps 3 and 6, which an apply-all would switch."""
    held, claims = case.held.domains, case.claims
    declared = set()
    count = 0
    for wanted in case.wanted.domains:
        declared.add(wanted.domain)
        if wanted.domain in held:
            count += 1
        elif wanted.domain not in claims.withheld and not wanted.suspended:
            count += decide_domain(wanted, None, terms) is not None
    return count + sum(_stays(case, name) for name in held if name not in declared)


def sweep(case: Case, terms: Terms, asked: ApplyAll | None) -> Swept:
    """``asked`` is the apply-all that runs in this change, None where there is none."""
    swept = Swept()
    held_domains = case.held.domains
    for wanted in case.wanted.domains:
        held = held_domains.get(wanted.domain)
        if held is not None:
            swept.matched += 1
            if asked is None and held.shadow is None and settled(wanted, held, terms):
                continue
        elif wanted.domain in case.claims.withheld:
            _withheld(case, wanted, swept)
            continue
        _declared(case, terms, asked, wanted, held, swept)
    if swept.matched < len(held_domains):
        _absent(case, terms, asked, swept)
    swept.changes.sort(key=lambda change: change.name)
    return swept


def _declared(
    case: Case,
    terms: Terms,
    asked: ApplyAll | None,
    wanted: WantedDomain,
    held: DomainState | None,
    swept: Swept,
) -> None:
    """One domain that a manifest declares: steps 3, 4 and 5."""
    if wanted.suspended:
        if held is not None:
            _record(case, wanted.domain, wanted.where, held, reassigned(held, terms), swept)
        return
    state = decide_domain(wanted, held, terms)
    waits = state is None
    if asked is not None and (held is not None or not waits):
        swept.findings += edited_too(case, wanted, held, asked)
        state, waits = switched(wanted.route, asked), False
    state = state or held
    if state is not None:
        state = reassigned(state, terms)
        _record(case, wanted.domain, wanted.where, held, state, swept)
        if state.shadow is not None and wanted.route not in (None, state.route):
            swept.shadowed.append(
                Shadowed(case.key, wanted.domain, wanted.route, state.route, state.shadow)
            )
    if waits and state == held:
        route = wanted.route or case.wanted.default
        _skip(case, wanted, held, f"it depends on {route}, which was not saved", swept)


def _absent(case: Case, terms: Terms, asked: ApplyAll | None, swept: Swept) -> None:
    """Domains that are held but not declared: step 6, unless they stay for another's claim."""
    declared = {wanted.domain for wanted in case.wanted.domains}
    where = case.wanted.where
    for name, held in case.held.domains.items():
        if name in declared:
            continue
        if not _stays(case, name):
            swept.changes.append(remove_domain(case.key, name, held, case.claims, where))
            continue
        state = held if asked is None else switched(held.declared, asked)
        _record(case, name, where, held, reassigned(state, terms), swept)


def _stays(case: Case, name: str) -> bool:
    return name in case.claims.kept or name in case.wanted.contested


def _record(
    case: Case,
    name: str,
    where: Where,
    held: DomainState | None,
    state: DomainState,
    swept: Swept,
) -> None:
    if state == held:
        return
    action = _action(held, state)
    source = case.claims.arriving.get(name) if held is None else None
    message = _message(name, held, state) if source is None else f"{name} moves from {source}."
    swept.changes.append(
        Change(
            Kind.DOMAIN,
            case.key,
            name,
            action,
            held,
            state,
            _reason(held, state),
            message,
            where.at("spec", "route"),
        )
    )


def _action(held: DomainState | None, state: DomainState) -> Action:
    if held is None:
        return Action.CREATE
    if held.route == state.route:
        return Action.UPDATE
    return Action.REASSIGN if state.origin is Origin.REASSIGNED else Action.REROUTE


def _reason(held: DomainState | None, state: DomainState) -> str:
    """The new origin, or what else was recorded where route and origin stay."""
    if held is None or (held.route, held.origin) != (state.route, state.origin):
        return state.origin.value
    if held.shadow != state.shadow:
        return "shadow" if state.shadow is not None else "shadow-ended"
    return "declaration-removed" if state.declared is None else "declaration-changed"


def _message(name: str, held: DomainState | None, state: DomainState) -> str:
    if held is not None and held.route == state.route:
        return _recorded(name, held, state)
    match state.origin:
        case Origin.DECLARED:
            return f"The manifest of {name} declares {state.route}."
        case Origin.DEFAULT:
            return f"{name} is new and declares no route: it starts on the default, {state.route}."
        case Origin.APPLY_ALL:
            return f"The apply-all {state.shadow} switches {name} to {state.route}."
        case Origin.REASSIGNED:
            gone = "" if held is None else f"{held.route} cannot be had any more: "
            return f"{gone}{name} is reassigned to {state.route}."


def _recorded(name: str, held: DomainState, state: DomainState) -> str:
    if state.shadow is not None and held.shadow != state.shadow:
        return f"The apply-all {state.shadow} keeps {name} on {state.route}."
    if held.origin != state.origin or held.shadow != state.shadow:
        return f"{name} stays on {state.route}, now because its manifest declares it."
    if state.declared is None:
        return f"The manifest of {name} declares no route any more; it stays on {state.route}."
    return f"The manifest of {name} declares {state.declared}; it stays on {state.route}."


def _withheld(case: Case, wanted: WantedDomain, swept: Swept) -> None:
    """A conflict has its own finding; a move that has to wait is told as a skip."""
    source = case.claims.waiting.get(wanted.domain)
    if source is not None and not wanted.suspended:
        _skip(case, wanted, None, f"account {source}, which holds it, is not changed now", swept)


def _skip(
    case: Case, wanted: WantedDomain, held: DomainState | None, why: str, swept: Swept
) -> None:
    stays = "is not created" if held is None else f"stays on {held.route}"
    message = f"{wanted.domain} {stays}, for {why}."
    where = wanted.where.at("spec", "route")
    swept.changes.append(
        Change(
            Kind.DOMAIN,
            case.key,
            wanted.domain,
            Action.SKIP,
            held,
            held,
            "dependency-skipped",
            message,
            where,
        )
    )
    swept.findings.append(
        finding(
            "dependency-skipped",
            message,
            hint="The next apply tries again.",
            where=where,
            account=case.key,
        )
    )
