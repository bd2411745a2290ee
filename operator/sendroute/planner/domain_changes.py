"""Steps 3 to 6 over every domain of one account."""

from operator import attrgetter
from typing import NamedTuple

from msgspec import Struct

from sendroute.model.change import Action, ChangeReason, DomainChange, Shadowed
from sendroute.model.codes import Code, finding
from sendroute.model.current import DomainState
from sendroute.model.desired import AccountKey, ApplyAll, DesiredDomain
from sendroute.model.finding import Finding, TenantText, Where
from sendroute.model.route import Origin, Route
from sendroute.model.waiting import Wait
from sendroute.planner.apply_all import ApplyAllDomains, overruled, switched, unknown_override
from sendroute.planner.domains import decide_domain, needs_no_decision, overrides
from sendroute.planner.inputs import AccountInput, RouteContext
from sendroute.planner.reassign import reassigned
from sendroute.planner.removals import remove_domain, removed_before_move

_AGAIN = "Apply again when the profile can be saved."
_BOTH = "The domain moves when both accounts are planned and can change."
_BY_ORIGIN = {origin: ChangeReason(origin) for origin in Origin}


class _Skip(NamedTuple):
    """Why a domain that a manifest declares is skipped: ``obstacle`` is what it waits for, ``hint``
    is the next step. ``holder`` is the other account that ``obstacle`` names, and ``unnamed`` the
    same without its name; ``profile`` is the profile that it names."""

    obstacle: str
    hint: str
    holder: AccountKey | None = None
    unnamed: str = ""
    profile: str | None = None


class DomainChanges(Struct):
    """The decisions so far. ``reassigned_domains`` are the domains that lost a profile, each with
    its new route, by the profile's name. ``matched`` counts the domains of the store that a
    manifest declares."""

    changes: list[DomainChange] = []
    findings: list[Finding] = []
    shadowed: list[Shadowed] = []
    reassigned_domains: dict[str, dict[str, Route]] = {}
    matched: int = 0


def count_after(
    inputs: AccountInput, context: RouteContext, apply_all: ApplyAll
) -> ApplyAllDomains:
    """The number of the account's domains after steps 3 and 6 that count for the confirmation of an
    apply-all: all but those whose declared route overrides it. It switches those that are not
    suspended."""
    current, claims = inputs.current.domains, inputs.claims
    declared = set()
    switches = suspended = 0
    for desired in inputs.desired.domains:
        declared.add(desired.domain)
        if desired.suspended:  # also one that overrides it: it stays for another reason
            suspended += desired.domain in current
        elif overrides(desired.route, desired.overrides, apply_all):
            continue
        elif desired.domain in current:
            switches += 1
        elif desired.domain not in claims.denied:
            switches += decide_domain(desired, None, context) is not None
    switches += sum(
        _is_retained(inputs, name) and not overrides(state.declared, state.overrides, apply_all)
        for name, state in current.items()
        if name not in declared
    )
    return ApplyAllDomains(switches, suspended)


def still_used(
    inputs: AccountInput, context: RouteContext, requested: ApplyAll | None
) -> dict[str, str]:
    """The profiles that cannot be removed yet, because a domain stays on each: its edit waits for a
    profile that was not saved, or it cannot leave the account now. Maps the name of each to the
    first such domain. ``requested`` is the apply-all that runs in this change: it switches a domain
    that would wait, unless the domain overrides it."""
    used: dict[str, str] = {}
    if not context.removed:
        return used

    def stays(declared: Route | None, overriding: str | None) -> bool:
        return requested is None or overrides(declared, overriding, requested)

    waiting = {
        name
        for name, state in inputs.current.domains.items()
        if _is_retained(inputs, name) and stays(state.declared, state.overrides)
    }
    for desired in inputs.desired.domains:
        current = inputs.current.domains.get(desired.domain)
        if current is None:
            continue
        waiting.discard(desired.domain)
        if not context.unsaved or desired.suspended:
            continue
        if stays(desired.route, desired.overrides) and (
            decide_domain(desired, current, context, requested) is None
        ):
            waiting.add(desired.domain)
    for name in sorted(waiting):
        profile = inputs.current.domains[name].route.profile
        if profile in context.removed:
            used.setdefault(profile, name)
    return used


def plan_domains(
    inputs: AccountInput, context: RouteContext, requested: ApplyAll | None
) -> DomainChanges:
    """Apply steps 3 to 6 to every domain of an account. ``requested`` is the apply-all that runs in
    this change; None if none runs."""
    domain_changes = DomainChanges()
    current_domains = inputs.current.domains
    ran = {*inputs.current.completed_apply_alls, *([requested.id] if requested is not None else [])}
    for desired in inputs.desired.domains:
        current = current_domains.get(desired.domain)
        if current is None and desired.domain in inputs.claims.denied:
            _report_waiting_move(inputs, desired, domain_changes)
            continue
        if desired.overrides is not None and desired.overrides not in ran:
            domain_changes.findings.append(unknown_override(inputs, desired))
        if current is not None:
            domain_changes.matched += 1
            if (
                requested is None
                and current.shadow is None
                and needs_no_decision(desired, current, context)
            ):
                continue
        _plan_declared_domain(inputs, context, requested, desired, current, domain_changes)
    if domain_changes.matched < len(current_domains):
        _plan_undeclared_domains(inputs, context, requested, domain_changes)
    # The result never depends on the order of documents.
    domain_changes.changes.sort(key=attrgetter("name"))
    domain_changes.findings.sort(key=lambda item: (item.code, item.message))
    domain_changes.shadowed.sort(key=lambda shadowed: shadowed.domain)
    return domain_changes


def _plan_declared_domain(
    inputs: AccountInput,
    context: RouteContext,
    requested: ApplyAll | None,
    desired: DesiredDomain,
    current: DomainState | None,
    domain_changes: DomainChanges,
) -> None:
    """One domain that a manifest declares: steps 3, 4 and 5."""
    if desired.suspended:
        if current is not None:
            _record_domain(
                inputs, context, desired.domain, desired.where, current, current, domain_changes
            )
        return
    state = decide_domain(desired, current, context, requested)
    waits = state is None
    if requested is not None and overrides(desired.route, desired.overrides, requested):
        pass  # the declared route was confirmed after this apply-all: step 3 has decided
    elif requested is not None and (current is not None or not waits):
        domain_changes.findings += overruled(inputs, desired, current, requested)
        state, waits = switched(desired.route, desired.overrides, requested), False
    state = state or current
    if state is not None:
        state = _record_domain(
            inputs, context, desired.domain, desired.where, current, state, domain_changes
        )
        # A new declaration ends the shadow, also while it waits.
        if not waits and state.shadow is not None and desired.route not in (None, state.route):
            domain_changes.shadowed.append(
                Shadowed(
                    inputs.key,
                    desired.domain,
                    desired.route,
                    state.route,
                    state.shadow,
                )
            )
    if waits:
        route = desired.route or inputs.desired.default
        default = "" if desired.route is not None else "the default, "
        obstacle = f"{default}{route}, which was not saved"
        skip = _Skip(obstacle, _AGAIN, profile=None if route is None else route.profile)
        _skip_declared_domain(inputs, desired, current, state, skip, domain_changes)


def _plan_undeclared_domains(
    inputs: AccountInput,
    context: RouteContext,
    requested: ApplyAll | None,
    domain_changes: DomainChanges,
) -> None:
    """Domains of the store that no manifest declares: step 6, unless a conflict keeps them."""
    declared = {desired.domain for desired in inputs.desired.domains}
    where = inputs.desired.where
    for name, current in inputs.current.domains.items():
        if name in declared:
            continue
        if not _is_retained(inputs, name):
            domain_changes.changes.append(
                remove_domain(inputs.key, name, current, inputs.claims, where)
            )
            continue
        state = current
        if requested is not None and not overrides(current.declared, current.overrides, requested):
            state = switched(current.declared, current.overrides, requested)
        state = _record_domain(inputs, context, name, where, current, state, domain_changes)
        if (claimant := inputs.claims.unmoved.get(name)) is not None:
            reason = inputs.claims.why_not(claimant, "cannot take it now")
            wait = Wait(f"account {claimant}, which {reason}", f"still in account {inputs.key}")
            hint = inputs.claims.next_step(claimant, _BOTH)
            _add_skip(inputs, name, current, state, (wait, hint, where), domain_changes)
    domain_changes.findings += removed_before_move(inputs.key, inputs.claims, where)


def _is_retained(inputs: AccountInput, name: str) -> bool:
    return name in inputs.claims.retained or name in inputs.desired.contested


def _record_domain(
    inputs: AccountInput,
    context: RouteContext,
    name: str,
    where: Where,
    current: DomainState | None,
    decided: DomainState,
    domain_changes: DomainChanges,
) -> DomainState:
    """Step 5 for one domain, and its change, if it changes."""
    state = reassigned(decided, context)
    if state == current:
        return state
    is_reassigned = state is not decided
    if is_reassigned and decided.route.profile is not None:
        domain_changes.reassigned_domains.setdefault(decided.route.profile, {})[name] = state.route
    holder = inputs.claims.incoming.get(name) if current is None else None
    domain_changes.changes.append(
        DomainChange(
            inputs.key,
            name,
            _domain_action(current, state, is_reassigned),
            current,
            state,
            _reason(current, state),
            f"{name} moves from account {holder} to account {inputs.key}."
            if holder
            else _message(name, current, state, is_reassigned),
            where.at("spec", "route"),
        )
    )
    return state


def _domain_action(current: DomainState | None, state: DomainState, is_reassigned: bool) -> Action:
    if current is None:
        return Action.CREATE
    if current.route == state.route:
        return Action.UPDATE
    return Action.REASSIGN if is_reassigned else Action.REROUTE


def _reason(current: DomainState | None, state: DomainState) -> ChangeReason:
    """The new origin; if route and origin stay, what else changed."""
    if current is None or (current.route, current.origin) != (state.route, state.origin):
        return _BY_ORIGIN[state.origin]
    if current.shadow != state.shadow:
        return ChangeReason.SHADOW if state.shadow is not None else ChangeReason.SHADOW_ENDED
    if state.declared is None:
        return ChangeReason.DECLARATION_REMOVED
    return ChangeReason.DECLARATION_CHANGED


def _message(
    name: str, current: DomainState | None, state: DomainState, is_reassigned: bool
) -> str:
    if current is not None and current.route == state.route:
        return _state_message(name, current, state)
    if is_reassigned:
        cause = "" if current is None else f", because {current.route} is no longer satisfiable"
        return f"{name} is reassigned to {state.route}{cause}."
    match state.origin:
        case Origin.DECLARED:
            if current is not None and state.overrides not in (None, current.overrides):
                return (
                    f"The manifest of {name} declares {state.route}, which overrides the apply-all"
                    f" {state.overrides}."
                )
            return f"The manifest of {name} declares {state.route}."
        case Origin.DEFAULT:
            return f"{name} is new and declares no route: it starts on the default, {state.route}."
        case Origin.APPLY_ALL:
            return f"The apply-all {state.shadow} switches {name} to {state.route}."
        case Origin.REASSIGNED:
            return f"{name} is reassigned to {state.route}."


def _state_message(name: str, current: DomainState, state: DomainState) -> str:
    if state.shadow is not None and current.shadow != state.shadow:
        return f"The apply-all {state.shadow} keeps {name} on {state.route}."
    if current.origin != state.origin or current.shadow != state.shadow:
        return f"{name} stays on {state.route}, which its manifest now declares."
    if state.declared is None:
        return f"{name} stays on {state.route}; its manifest no longer declares a route."
    if state.declared == current.declared:
        apply_all = state.overrides or current.overrides
        verb = "now" if state.overrides is not None else "no longer"
        reason = f"its manifest {verb} overrides the apply-all {apply_all}"
        return f"{name} stays on {state.route}; {reason}."
    return f"{name} stays on {state.route}, although its manifest declares {state.declared}."


def _report_waiting_move(
    inputs: AccountInput, desired: DesiredDomain, domain_changes: DomainChanges
) -> None:
    """Report a move that must wait as a skip. A conflict has its own finding."""
    holder = inputs.claims.waiting.get(desired.domain)
    if holder is not None and not desired.suspended:
        reason = inputs.claims.why_not(holder, "cannot change now")
        obstacle = f"account {holder}, the present holder, which {reason}"
        unnamed = f"another account, the present holder, which {reason}"
        skip = _Skip(obstacle, _BOTH, holder, unnamed)
        _skip_declared_domain(inputs, desired, None, None, skip, domain_changes)


def _skip_declared_domain(
    inputs: AccountInput,
    desired: DesiredDomain,
    current: DomainState | None,
    state: DomainState | None,
    skip: _Skip,
    domain_changes: DomainChanges,
) -> None:
    """A domain that a manifest declares."""
    consequence = f"not created yet in account {inputs.key}"
    if state is not None:
        consequence = f"now on {state.route} instead"
    if state is not None and state == current:
        consequence = f"still on {current.route}"
    for_tenant = None
    if skip.holder is not None:
        unnamed = Wait(skip.unnamed, consequence).of(desired.domain)
        for_tenant = TenantText(unnamed, skip.hint, (skip.holder,))
    wait = Wait(skip.obstacle, consequence, skip.profile)
    reason = (wait, skip.hint, desired.where.at("spec", "route"))
    _add_skip(inputs, desired.domain, current, state, reason, domain_changes, for_tenant)


def _add_skip(
    inputs: AccountInput,
    name: str,
    current: DomainState | None,
    state: DomainState | None,
    reason: tuple[Wait, str, Where],
    domain_changes: DomainChanges,
    for_tenant: TenantText | None = None,
) -> None:
    """Add a skip. ``state`` is the state after the change, because step 5 also applies to a skipped
    domain. ``reason`` are the wait, the hint and the position."""
    wait, hint, where = reason
    message = wait.of(name)
    if state == current:
        skip = (Action.SKIP, current, current, Code.DEPENDENCY_SKIPPED, message, where, wait)
        domain_changes.changes.append(DomainChange(inputs.key, name, *skip))
    domain_changes.findings.append(
        finding(
            "dependency-skipped",
            message,
            hint=hint,
            where=where,
            account=inputs.key,
            for_tenant=for_tenant,
            domain=name,
            wait=wait,
        )
    )
