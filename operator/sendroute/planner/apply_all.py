"""Step 4: the one-time, confirmed switch of every domain of an account."""

from msgspec import Struct

from sendroute.model.codes import finding
from sendroute.model.finding import Finding
from sendroute.model.held import DomainState
from sendroute.model.route import Origin, Route
from sendroute.model.wanted import ApplyAll, WantedDomain
from sendroute.planner.case import Case, Terms


class Decision(Struct, frozen=True):
    """``runs`` is the apply-all that this change runs, None where there is none to run."""

    runs: ApplyAll | None = None
    findings: tuple[Finding, ...] = ()
    skipped: bool = False


def decide_apply_all(case: Case, terms: Terms, domains: int) -> Decision:
    """``domains`` is how many the account has after this change, new ones included."""
    asked = case.wanted.apply_all
    if asked is None:
        return Decision()
    ran = case.held.ran.get(asked.id)
    if ran is not None:
        if ran.route == asked.route:
            return Decision()
        return _refused(
            case,
            "apply-all-id-reused",
            f"The apply-all id {asked.id} ran before, to {ran.route}; it cannot run again, to"
            f" {asked.route}.",
            "Give the new switch an id of its own.",
            "id",
        )
    if asked.route.profile in terms.waiting:
        return _waits(case, asked)
    if asked.route not in terms.satisfiable:
        return _refused(
            case,
            "apply-all-unsatisfiable",
            f"The apply-all {asked.id} cannot run: plan {case.plan.name} does not offer"
            f" {asked.route}.",
            "Choose another route, or a plan that offers it.",
            "route",
        )
    return _confirmed(case, asked, domains)


def _confirmed(case: Case, asked: ApplyAll, domains: int) -> Decision:
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
            f"If all {domains} are meant, set confirm: {{domains: {domains}}}",
            "confirm",
            "domains",
        )
    return Decision(runs=asked)


def _refused(case: Case, code: str, message: str, hint: str, *path: str) -> Decision:
    found = finding(
        code,
        message,
        hint=hint,
        where=case.wanted.where.at("spec", "applyToAll", *path),
        account=case.key,
    )
    return Decision(findings=(found,))


def _waits(case: Case, asked: ApplyAll) -> Decision:
    found = finding(
        "dependency-skipped",
        f"The apply-all {asked.id} does not run, for {asked.route} was not saved.",
        hint="Mend the profile; the next apply tries again.",
        where=case.wanted.where.at("spec", "applyToAll", "route"),
        account=case.key,
    )
    return Decision(findings=(found,), skipped=True)


def switched(declared: Route | None, asked: ApplyAll) -> DomainState:
    return DomainState(asked.route, Origin.APPLY_ALL, declared, asked.id)


def edited_too(
    case: Case, wanted: WantedDomain, held: DomainState | None, asked: ApplyAll
) -> tuple[Finding, ...]:
    """The warning where the same change edits a domain's declared route: the apply-all wins."""
    seen = held.declared if held is not None else None
    if wanted.route is None or wanted.route == seen or wanted.route == asked.route:
        return ()
    return (
        finding(
            "apply-all-wins",
            f"{wanted.domain} declares {wanted.route}, but the apply-all {asked.id} of the same"
            f" change switches it to {asked.route}.",
            hint="A later edit of this manifest wins; or run `sendroute sync` to write down what"
            " is assigned.",
            where=wanted.where.at("spec", "route"),
            account=case.key,
        ),
    )
