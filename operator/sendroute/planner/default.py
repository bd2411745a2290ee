"""Step 2: what new domains start on."""

from msgspec import Struct

from sendroute.model.codes import finding
from sendroute.model.current import AccountState
from sendroute.model.finding import Finding
from sendroute.model.route import Route
from sendroute.planner.inputs import AccountInput


class Default(Struct, frozen=True):
    """``state`` is the account's record after the change; ``effective`` is None while a declared
    default waits for a profile that was not saved."""

    state: AccountState
    effective: Route | None
    findings: tuple[Finding, ...] = ()


def decide_default(
    case: AccountInput, satisfiable: frozenset[Route], waiting: frozenset[str]
) -> Default:
    declared = case.desired.default
    state = AccountState(case.desired.plan, declared)
    if declared is None:
        return Default(state, case.plan.plan_default)
    if declared.profile in waiting:
        return _waits(case, declared)
    if declared in satisfiable:
        return Default(state, declared)
    fell_back = finding(
        "default-fell-back",
        f"The default of account {case.key.name}, {declared}, is not satisfiable; new domains start"
        f" on the plan default, {case.plan.plan_default}.",
        hint="Declare the profile again, or another spec.defaultRoute."
        if declared.profile
        else f"Plan {case.plan.name} does not offer managed sending: choose another default.",
        where=case.desired.where.at("spec", "defaultRoute"),
        account=case.key,
    )
    return Default(state, case.plan.plan_default, (fell_back,))


def _waits(case: AccountInput, declared: Route) -> Default:
    """A default that depends on a profile which was not saved stays what it was; a new domain
    that would start on it is not stamped with yesterday's default instead, but waits too."""
    before = case.current.state.default if case.current.state is not None else None
    told: tuple[Finding, ...] = ()
    if declared != before:
        told = (
            finding(
                "dependency-skipped",
                f"The default of account {case.key.name} stays as it was, because {declared} was"
                " not saved.",
                hint="Fix the profile; the next apply tries again.",
                where=case.desired.where.at("spec", "defaultRoute"),
                account=case.key,
            ),
        )
    return Default(AccountState(case.desired.plan, before), None, told)
