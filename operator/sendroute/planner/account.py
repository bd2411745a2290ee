"""One account's plan: the steps of a change, in their order."""

from collections.abc import Iterator

from sendroute.model.change import AccountPlan, Action, Change, Kind
from sendroute.model.codes import finding
from sendroute.model.finding import Finding, Severity, Where
from sendroute.model.held import AccountState, RanApplyAll
from sendroute.model.wanted import AccountKey, ApplyAll
from sendroute.planner.apply_all import decide_apply_all
from sendroute.planner.case import Case, Terms, satisfiable_routes
from sendroute.planner.default import Default, decide_default
from sendroute.planner.profiles import Profiles, decide_profiles, keep_in_use
from sendroute.planner.reassign import tell_deletions
from sendroute.planner.references import check_references
from sendroute.planner.sweep import count_after, still_used, sweep


def plan_account(case: Case) -> AccountPlan:
    """Steps 1 to 6 for one account that is neither suspended nor stopped by its documents."""
    profiles = decide_profiles(case)
    referred = check_references(case, frozenset(profiles.after) | profiles.waiting)
    if any(found.severity is Severity.ERROR for found in referred):
        return AccountPlan(case.key, case.held.revision, (), referred, stopped=True)

    default, terms = _terms(case, profiles)
    asked = case.wanted.apply_all
    count = count_after(case, terms) if asked is not None and asked.id not in case.held.ran else 0
    switch = decide_apply_all(case, terms, count)
    if switch.runs is None and (used := still_used(case, terms)):
        profiles = keep_in_use(profiles, used)
        default, terms = _terms(case, profiles)
    swept = sweep(case, terms, switch.runs)
    account = _account(case, default.state, switch.runs, count)
    findings = (
        *_suspended(case),
        *referred,
        *_waiting(case, profiles),
        *tell_deletions(case, swept.fallen),
        *default.findings,
        *switch.findings,
        *swept.findings,
    )
    return AccountPlan(
        case.key,
        case.held.revision,
        (*account, *profiles.changes, *swept.changes),
        findings,
        tuple(swept.shadowed),
    )


def _terms(case: Case, profiles: Profiles) -> tuple[Default, Terms]:
    satisfiable = satisfiable_routes(case.plan, profiles.after)
    default = decide_default(case, satisfiable, profiles.waiting)
    terms = Terms(
        case.plan.baseline, satisfiable, profiles.removed, profiles.waiting, default.effective
    )
    return default, terms


def _waiting(case: Case, profiles: Profiles) -> Iterator[Finding]:
    """Profiles that are skipped for another's sake; a failed test has a finding of its own."""
    for change in profiles.changes:
        if change.reason == "dependency-skipped":
            yield finding(
                "dependency-skipped",
                change.message,
                hint="Mend the profile whose test failed; the next apply tries again.",
                where=change.where,
                account=case.key,
            )


def _account(
    case: Case, state: AccountState, runs: ApplyAll | None, domains: int
) -> Iterator[Change]:
    before = case.held.state
    ran = (runs.id, RanApplyAll(runs.route, domains)) if runs is not None else None
    if before == state and ran is None:
        return
    told = []
    if before is None:
        told.append(f"Account {case.key.name} is created on plan {state.plan}.")
    else:
        if before.plan != state.plan:
            told.append(f"The plan changes from {before.plan} to {state.plan}.")
        if before.default != state.default:
            start = state.default or "the plan's baseline"
            told.append(f"New domains start on {start}.")
    if runs is not None:
        told.append(f"The apply-all {runs.id} switches {domains} domains to {runs.route}.")
    yield Change(
        Kind.ACCOUNT,
        case.key,
        case.key.name,
        Action.CREATE if before is None else Action.UPDATE,
        before,
        state,
        "declared" if before != state else "apply-all",
        " ".join(told),
        case.wanted.where,
        ran,
    )


def _suspended(case: Case) -> Iterator[Finding]:
    """Every suspended object is told: it is left as the store holds it."""
    for name, profile in sorted(case.wanted.profiles.items()):
        if profile.suspended and profile.inline_in is None:
            yield suspended_object(f"Profile {name}", profile.where, case.key)
    for domain in case.wanted.domains:
        if domain.suspended:
            yield suspended_object(domain.domain, domain.where, case.key)


def suspended_object(what: str, where: Where, key: AccountKey | None) -> Finding:
    return finding(
        "suspended",
        f"{what} is suspended: it stays as the store holds it.",
        where=where.at("spec", "suspend"),
        account=key,
    )
