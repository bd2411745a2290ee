"""Step 2: what new domains start on."""

from msgspec import Struct

from sendroute.model.codes import finding
from sendroute.model.current import AccountState
from sendroute.model.finding import Finding
from sendroute.model.route import Route
from sendroute.planner.inputs import AccountInput


class DefaultDecision(Struct, frozen=True):
    """``state`` is the account's state after the change. ``effective`` is the default of new
    domains; None while the declared default waits for a profile that was not saved."""

    state: AccountState
    effective: Route | None
    findings: tuple[Finding, ...] = ()


def decide_default(
    inputs: AccountInput, satisfiable: frozenset[Route], unsaved: frozenset[str]
) -> DefaultDecision:
    declared = inputs.desired.default
    state = AccountState(inputs.desired.plan, declared, inputs.desired.logins)
    if declared is None:
        return DefaultDecision(state, inputs.plan.plan_default)
    if declared.profile in unsaved:
        return _keep_until_saved(inputs, declared)
    if declared in satisfiable:
        return DefaultDecision(state, declared)
    fell_back = finding(
        "default-fell-back",
        f"The default of account {inputs.key.name}, {declared}, is not satisfiable; new domains"
        f" start on the plan default, {inputs.plan.plan_default}.",
        hint="Declare the profile again, or another spec.defaultRoute."
        if declared.profile
        else f"Service plan {inputs.plan.name} does not offer managed sending. Choose another"
        " default.",
        where=inputs.desired.where.at("spec", "defaultRoute"),
        account=inputs.key,
    )
    return DefaultDecision(state, inputs.plan.plan_default, (fell_back,))


def _keep_until_saved(inputs: AccountInput, declared: Route) -> DefaultDecision:
    """Keep the previous default, because the declared one depends on a profile that was not saved.
    A new domain that would start on the declared default also waits."""
    before = inputs.current.state.default if inputs.current.state is not None else None
    findings: tuple[Finding, ...] = ()
    if declared != before:
        findings = (
            finding(
                "dependency-skipped",
                f"The default of account {inputs.key.name} stays unchanged: {declared} was not"
                " saved.",
                hint="Apply again when the profile can be saved.",
                where=inputs.desired.where.at("spec", "defaultRoute"),
                account=inputs.key,
            ),
        )
    state = AccountState(inputs.desired.plan, before, inputs.desired.logins)
    return DefaultDecision(state, None, findings)
