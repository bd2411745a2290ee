"""Steps 3 to 6 over every domain of one account."""

from operator import attrgetter

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
    """Gathered on the way. ``fallen``: the domains that lost each profile, by its name;
    ``matched`` counts the held domains that a manifest declares."""

    changes: list[Change] = []
    findings: list[Finding] = []
    shadowed: list[Shadowed] = []
    fallen: dict[str, list[str]] = {}
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


def still_used(case: Case, terms: Terms) -> dict[str, str]:
    """The profiles that were to be removed, but that a domain stays on because its edit waits for
    a profile that was not saved: profile name → the first such domain."""
    used: dict[str, str] = {}
    if not terms.removed or not terms.waiting:
        return used
    for wanted in case.wanted.domains:
        held = case.held.domains.get(wanted.domain)
        if held is None or wanted.suspended or held.route.profile not in terms.removed:
            continue
        if decide_domain(wanted, held, terms) is None:
            first = used.get(held.route.profile, wanted.domain)
            used[held.route.profile] = min(first, wanted.domain)
    return used


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
    # The order of documents never shows.
    swept.changes.sort(key=attrgetter("name"))
    swept.findings.sort(key=lambda found: (found.code, found.message))
    swept.shadowed.sort(key=lambda shadowed: shadowed.domain)
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
            _land(case, terms, wanted.domain, wanted.where, held, held, swept)
        return
    state = decide_domain(wanted, held, terms)
    waits = state is None
    if asked is not None and (held is not None or not waits):
        swept.findings += edited_too(case, wanted, held, asked)
        state, waits = switched(wanted.route, asked), False
    state = state or held
    if state is not None:
        state = _land(case, terms, wanted.domain, wanted.where, held, state, swept)
        if state.shadow is not None and wanted.route not in (None, state.route):
            swept.shadowed.append(
                Shadowed(case.key, wanted.domain, wanted.route, state.route, state.shadow)
            )
    if waits:
        route = wanted.route or case.wanted.default
        _skip(case, wanted, held, state, f"it depends on {route}, which was not saved", swept)


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
        _land(case, terms, name, where, held, state, swept)


def _stays(case: Case, name: str) -> bool:
    return name in case.claims.kept or name in case.wanted.contested


def _land(
    case: Case,
    terms: Terms,
    name: str,
    where: Where,
    held: DomainState | None,
    decided: DomainState,
    swept: Swept,
) -> DomainState:
    """Step 5 for one domain, and the change where there is any."""
    state = reassigned(decided, terms)
    if state == held:
        return state
    fell = state is not decided
    if fell and decided.route.profile is not None:
        swept.fallen.setdefault(decided.route.profile, []).append(name)
    source = case.claims.arriving.get(name) if held is None else None
    swept.changes.append(
        Change(
            Kind.DOMAIN,
            case.key,
            name,
            _action(held, state, fell),
            held,
            state,
            _reason(held, state),
            f"{name} moves from {source}." if source else _message(name, held, state, fell),
            where.at("spec", "route"),
        )
    )
    return state


def _action(held: DomainState | None, state: DomainState, fell: bool) -> Action:
    if held is None:
        return Action.CREATE
    if held.route == state.route:
        return Action.UPDATE
    return Action.REASSIGN if fell else Action.REROUTE


def _reason(held: DomainState | None, state: DomainState) -> str:
    """The new origin, or what else was recorded where route and origin stay."""
    if held is None or (held.route, held.origin) != (state.route, state.origin):
        return str(state.origin)
    if held.shadow != state.shadow:
        return "shadow" if state.shadow is not None else "shadow-ended"
    return "declaration-removed" if state.declared is None else "declaration-changed"


def _message(name: str, held: DomainState | None, state: DomainState, fell: bool) -> str:
    if held is not None and held.route == state.route:
        return _recorded(name, held, state)
    if fell:
        gone = "" if held is None else f", for {held.route} cannot be had any more"
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


def _recorded(name: str, held: DomainState, state: DomainState) -> str:
    if state.shadow is not None and held.shadow != state.shadow:
        return f"The apply-all {state.shadow} keeps it on {state.route}."
    if held.origin != state.origin or held.shadow != state.shadow:
        return f"{name} stays on {state.route}, now because its manifest declares it."
    if state.declared is None:
        return f"The manifest of {name} declares no route any more; it stays on {state.route}."
    return f"The manifest of {name} declares {state.declared}; it stays on {state.route}."


def _withheld(case: Case, wanted: WantedDomain, swept: Swept) -> None:
    """A conflict has its own finding; a move that has to wait is told as a skip."""
    source = case.claims.waiting.get(wanted.domain)
    if source is not None and not wanted.suspended:
        why = f"account {source}, which holds it, is not changed now"
        _skip(case, wanted, None, None, why, swept)


def _skip(
    case: Case,
    wanted: WantedDomain,
    held: DomainState | None,
    state: DomainState | None,
    why: str,
    swept: Swept,
) -> None:
    """``state`` is what the domain has after the change: rule 5 spares no skipped domain."""
    now = "is not created" if state is None else f"does not get what it declares ({state.route})"
    if state is not None and state == held:
        now = f"stays on {held.route}"
    message = f"{wanted.domain} {now}, for {why}."
    where = wanted.where.at("spec", "route")
    if state == held:
        skip = (Action.SKIP, held, held, "dependency-skipped", message, where)
        swept.changes.append(Change(Kind.DOMAIN, case.key, wanted.domain, *skip))
    swept.findings.append(
        finding(
            "dependency-skipped",
            message,
            hint="The next apply tries again.",
            where=where,
            account=case.key,
        )
    )
