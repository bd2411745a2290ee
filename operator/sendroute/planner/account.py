"""One account's plan: the steps of a change, in their order."""

from collections.abc import Iterable, Iterator

from msgspec import UNSET

from sendroute.model.change import (
    AccountChange,
    AccountPlan,
    Action,
    ChangeReason,
    DomainChange,
)
from sendroute.model.codes import Trait, finding, has_trait
from sendroute.model.current import AccountState, RanApplyAll
from sendroute.model.desired import AccountKey, ApplyAll
from sendroute.model.finding import Finding, Severity, Where
from sendroute.model.words import counted, first_of
from sendroute.planner.apply_all import ApplyAllDomains, decide_apply_all
from sendroute.planner.default import DefaultDecision, decide_default
from sendroute.planner.domain_changes import count_after, plan_domains, still_used
from sendroute.planner.inputs import AccountInput, RouteContext, satisfiable_routes
from sendroute.planner.profiles import ProfilesDecision, decide_profiles, keep_in_use
from sendroute.planner.reassign import report_deletions
from sendroute.planner.references import check_references

_LISTED = 10


_REROUTES = (Action.REASSIGN, Action.REROUTE)


def plan_account(inputs: AccountInput) -> AccountPlan:
    """Steps 1 to 6 for one account that is neither suspended nor stopped by its documents."""
    profiles = decide_profiles(inputs)
    existing = frozenset(profiles.after) | profiles.unsaved
    # Nothing may newly refer to a profile that only waits to leave.
    referred = check_references(inputs, existing - inputs.claims.unmoved_profiles.keys())
    if any(item.severity is Severity.ERROR for item in referred):
        return AccountPlan(inputs.key, inputs.current.revision, (), referred, stopped=True)

    default, context = _context(inputs, profiles)
    requested = inputs.desired.apply_all
    count = (
        count_after(inputs, context, requested)
        if requested is not None and requested.id not in inputs.current.completed_apply_alls
        else ApplyAllDomains()
    )
    switch = decide_apply_all(inputs, context, count)
    if used := still_used(inputs, context, switch.apply_all):
        profiles = keep_in_use(profiles, used)
        default, context = _context(inputs, profiles)
    if used or inputs.claims.unmoved_profiles:
        referred = check_references(inputs, frozenset(profiles.after) | profiles.unsaved)
    domain_changes = plan_domains(inputs, context, switch.apply_all)
    account = _account_changes(inputs, default, switch.apply_all, count.switches)
    findings = (
        *_suspended(inputs, domain_changes.changes),
        *referred,
        *_skipped_profiles(inputs, profiles),
        *report_deletions(inputs, domain_changes.reassigned_domains),
        *default.findings,
        *switch.findings,
        *domain_changes.findings,
    )
    return AccountPlan(
        inputs.key,
        inputs.current.revision,
        (*account, *profiles.changes, *domain_changes.changes),
        findings,
        tuple(domain_changes.shadowed),
    )


def _context(
    inputs: AccountInput, profiles: ProfilesDecision
) -> tuple[DefaultDecision, RouteContext]:
    satisfiable = satisfiable_routes(inputs.plan, profiles.after)
    default = decide_default(inputs, satisfiable, profiles.unsaved)
    context = RouteContext(
        inputs.plan.plan_default, satisfiable, profiles.removed, profiles.unsaved, default.effective
    )
    return default, context


def _skipped_profiles(inputs: AccountInput, profiles: ProfilesDecision) -> Iterator[Finding]:
    """Report profiles that are skipped because they wait for another object. A failed test has its
    own finding."""
    for change in profiles.changes:
        if has_trait(change.reason, Trait.SKIPPED):
            hint = "Apply again when the other profile can be saved."
            if (claimant := inputs.claims.unmoved_profiles.get(change.name)) is not None:
                hint = inputs.claims.next_step_of_profile(claimant)
            elif change.name not in inputs.desired.profiles:
                hint = "Apply again when the domain no longer waits."
            yield finding(
                "dependency-skipped",
                change.message,
                hint=hint,
                where=change.where,
                account=inputs.key,
            )


def _account_changes(
    inputs: AccountInput, default: DefaultDecision, apply_all: ApplyAll | None, domain_count: int
) -> Iterator[AccountChange]:
    before, state = inputs.current.state, default.state
    ran = None
    if apply_all is not None:
        ran = (apply_all.id, RanApplyAll(apply_all.route, domain_count))
    if before == state and ran is None:
        return
    key = inputs.key
    sentences = []
    if before is None:
        sentences.append(f"Account {key} is created on service plan {state.plan}.")
    else:
        if before.plan != state.plan:
            sentences.append(
                f"The service plan of account {key} changes from {before.plan} to {state.plan}."
            )
    sentences += _start_of_new_domains(key, before, default)
    logins_before = before.logins if before is not None else UNSET
    if logins_before != state.logins:
        sentences.append(
            f"Only clients that sign in as {first_of(state.logins, _LISTED, 'or')} may send as its"
            " domains."
            if state.logins
            else "Any client that the relay accepts may send as its domains."
        )
    if apply_all is not None:
        sentences.append(
            f"The apply-all {apply_all.id} switches"
            f" {counted(domain_count, 'domain')} of account {key} to {apply_all.route}."
        )
    yield AccountChange(
        key,
        key.name,
        Action.CREATE if before is None else Action.UPDATE,
        before,
        state,
        ChangeReason.DECLARED if before != state else ChangeReason.APPLY_ALL,
        " ".join(sentences),
        inputs.desired.where,
        ran,
    )


def _start_of_new_domains(
    key: AccountKey, before: AccountState | None, default: DefaultDecision
) -> Iterator[str]:
    """The sentence about the default that is in force, if the change decides it: the declared one
    may have fallen back."""
    declared, effective = default.state.default, default.effective
    is_changed = before is not None and before.default != declared
    # A default that waits for its profile has no effective one, and the store keeps the previous.
    fell_back = declared is not None and effective not in (None, declared)
    is_new = before is None or before.plan != default.state.plan
    if not is_changed and not (fell_back and is_new):
        return
    start = effective if effective == declared else f"the plan default, {effective}"
    reason = f", because {declared} is not satisfiable" if fell_back else ""
    yield f"New domains of account {key} start on {start}{reason}."


def _suspended(inputs: AccountInput, changes: Iterable[DomainChange]) -> Iterator[Finding]:
    """Report every suspended object. It keeps its state in the store, except that a domain is
    reassigned (step 5)."""
    rerouted = {change.name: change.after for change in changes if change.action in _REROUTES}
    for name, profile in sorted(inputs.desired.profiles.items()):
        if profile.suspended and profile.inline_in is None:
            subject = f"Profile {name} of account {inputs.key}"
            yield suspended_object(subject, profile.where, inputs.key)
    for domain in inputs.desired.domains:
        if domain.suspended and (after := rerouted.get(domain.domain)) is not None:
            yield finding(
                "suspended",
                f"{domain.domain} is suspended, but gets {after.route}: its previous route is no"
                " longer satisfiable.",
                where=domain.where.at("spec", "suspend"),
                account=inputs.key,
                domain=domain.domain,
            )
        elif domain.suspended:
            yield suspended_object(domain.domain, domain.where, inputs.key)


def suspended_object(subject: str, where: Where, key: AccountKey | None) -> Finding:
    return finding(
        "suspended",
        f"{subject} is suspended, so it is not created or changed.",
        where=where.at("spec", "suspend"),
        account=key,
    )
