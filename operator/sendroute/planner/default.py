"""Step 2: what new domains start on."""

from msgspec import Struct

from sendroute.model.codes import finding
from sendroute.model.current import AccountState
from sendroute.model.finding import Finding
from sendroute.model.platform import ServicePlan
from sendroute.model.route import Route
from sendroute.planner.inputs import AccountInput


class DefaultDecision(Struct, frozen=True):
    """``state`` is the account's state after the change. ``effective`` is the default of new
    domains; None while the declared default waits for a profile that was not saved."""

    state: AccountState
    effective: Route | None
    findings: tuple[Finding, ...] = ()


def effective_default(
    declared: Route | None, plan: ServicePlan, satisfiable: frozenset[Route]
) -> Route:
    """Decide what a new domain without a declared route starts on (docs/rules.md, "What a new
    domain starts on").

    Args:
        declared: the account's default; None if it has none.
        plan: the account's service plan.
        satisfiable: the routes that a domain of the account can have.

    Returns:
        The declared default if it is satisfiable, otherwise the plan's.
    """
    if declared is not None and declared in satisfiable:
        return declared
    return plan.plan_default


def decide_default(
    inputs: AccountInput, satisfiable: frozenset[Route], unsaved: frozenset[str]
) -> DefaultDecision:
    """Step 2: what new domains start on, and what the store records of the account. ``unsaved`` are
    the profiles that may not be saved now: a default that names one of them waits."""
    declared = inputs.desired.default
    state = AccountState(inputs.desired.plan, declared, inputs.desired.logins)
    if declared is not None and declared.profile in unsaved:
        return _keep_until_saved(inputs, declared)
    effective = effective_default(declared, inputs.plan, satisfiable)
    if declared in (None, effective):
        return DefaultDecision(state, effective)
    fell_back = finding(
        "default-fell-back",
        f"The default of account {inputs.key}, {declared}, is not satisfiable; new domains"
        f" start on the plan default, {effective}.",
        hint="Declare the profile again, or another spec.defaultRoute."
        if declared.profile
        else f"Service plan {inputs.plan.name} does not offer managed sending. Choose another"
        " default.",
        where=inputs.desired.where.at("spec", "defaultRoute"),
        account=inputs.key,
    )
    return DefaultDecision(state, effective, (fell_back,))


def _keep_until_saved(inputs: AccountInput, declared: Route) -> DefaultDecision:
    """Keep the previous default, because the declared one depends on a profile that was not saved.
    A new domain that would start on the declared default also waits."""
    before = inputs.current.state.default if inputs.current.state is not None else None
    findings: tuple[Finding, ...] = ()
    if declared != before:
        stays = "stays unchanged" if before is not None else "is not set"
        findings = (
            finding(
                "dependency-skipped",
                f"The default of account {inputs.key} {stays}: {declared} was not saved.",
                hint="Apply again when the profile can be saved.",
                where=inputs.desired.where.at("spec", "defaultRoute"),
                account=inputs.key,
            ),
        )
    state = AccountState(inputs.desired.plan, before, inputs.desired.logins)
    return DefaultDecision(state, None, findings)
