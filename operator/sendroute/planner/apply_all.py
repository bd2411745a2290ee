"""Step 4: the one-time, confirmed switch of every domain of an account."""

from msgspec import Struct

from sendroute.model.codes import finding
from sendroute.model.current import DomainState
from sendroute.model.desired import ApplyAll, DesiredDomain
from sendroute.model.finding import Finding
from sendroute.model.remedy import Perform, Task
from sendroute.model.route import Origin, Route
from sendroute.planner.inputs import AccountInput, RouteContext


class Decision(Struct, frozen=True):
    """``runs`` is the apply-all that this change runs, None if none runs."""

    runs: ApplyAll | None = None
    findings: tuple[Finding, ...] = ()
    skipped: bool = False


def decide_apply_all(case: AccountInput, context: RouteContext, domains: int) -> Decision:
    """``domains`` is how many the account has after this change, new ones included."""
    asked = case.desired.apply_all
    if asked is None:
        return Decision()
    ran = case.current.ran.get(asked.id)
    if ran is not None:
        if ran.route == asked.route:
            return Decision()
        return _refused(
            case,
            "apply-all-id-reused",
            f"The apply-all id {asked.id} ran before, to {ran.route}; it cannot run again, to"
            f" {asked.route}.",
            "Give the apply-all a new id.",
            "id",
        )
    if asked.route.profile in context.waiting:
        return _waits(case, asked)
    if asked.route not in context.satisfiable:
        return _refused(
            case,
            "apply-all-unsatisfiable",
            f"The apply-all {asked.id} cannot run: plan {case.plan.name} does not offer"
            f" {asked.route}.",
            "Choose another route, or a plan that offers it.",
            "route",
        )
    return _confirmed(case, asked, domains)


def _confirmed(case: AccountInput, asked: ApplyAll, domains: int) -> Decision:
    if asked.confirm is None:
        return _refused(
            case,
            "awaiting-confirmation",
            f"The apply-all {asked.id} would switch {domains} domains of account"
            f" {case.key.name} to {asked.route}; it waits for its confirmation.",
            f"To run it, add to spec.applyToAll: confirm: {{domains: {domains}}}",
        )
    if domains > asked.confirm:
        return _refused(
            case,
            "confirmation-exceeded",
            f"The apply-all {asked.id} is confirmed for {asked.confirm} domains, but account"
            f" {case.key.name} has {domains}.",
            f"To switch all {domains} domains, set confirm: {{domains: {domains}}}",
            "confirm",
            "domains",
        )
    return Decision(runs=asked)


def _refused(case: AccountInput, code: str, message: str, hint: str, *path: str) -> Decision:
    found = finding(
        code,
        message,
        hint=hint,
        where=case.desired.where.at("spec", "applyToAll", *path),
        account=case.key,
    )
    return Decision(findings=(found,))


def _waits(case: AccountInput, asked: ApplyAll) -> Decision:
    found = finding(
        "dependency-skipped",
        f"The apply-all {asked.id} does not run, because {asked.route} was not saved.",
        hint="Fix the profile; the next apply tries again.",
        where=case.desired.where.at("spec", "applyToAll", "route"),
        account=case.key,
    )
    return Decision(findings=(found,), skipped=True)


def switched(declared: Route | None, asked: ApplyAll) -> DomainState:
    return DomainState(asked.route, Origin.APPLY_ALL, declared, asked.id)


def edited_too(
    case: AccountInput, desired: DesiredDomain, current: DomainState | None, asked: ApplyAll
) -> tuple[Finding, ...]:
    """The warning where the same change edits a domain's declared route: the apply-all wins."""
    seen = current.declared if current is not None else None
    if desired.route is None or desired.route == seen or desired.route == asked.route:
        return ()
    return (
        finding(
            "apply-all-wins",
            f"{desired.domain} declares {desired.route}, but the apply-all {asked.id} of the same"
            f" change switches it to {asked.route}.",
            hint="A later edit of this manifest wins. Or write the assigned routes into the"
            " manifests.",
            remedy=Perform(Task.SYNC),
            where=desired.where.at("spec", "route"),
            account=case.key,
        ),
    )
