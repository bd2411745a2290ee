"""Accounts that are not planned, for an error in their own documents or in what they are planned
from: what is wrong with their references all the same, so that one run tells everything."""

from sendroute.model.codes import Trait, finding, has_trait
from sendroute.model.current import CurrentAccount
from sendroute.model.desired import DesiredAccount
from sendroute.model.finding import Finding
from sendroute.model.platform import Platform, ServicePlan
from sendroute.model.spelling import did_you_mean
from sendroute.planner.inputs import AccountInput
from sendroute.planner.profiles import decide_profiles
from sendroute.planner.references import check_references


def check_stopped(
    desired: DesiredAccount, current: CurrentAccount, platform: Platform | None
) -> tuple[Finding, ...]:
    """The errors that remain after the documents with errors are fixed. ``platform``
    is None where none can be read."""
    if desired.suspended:
        return ()
    unknown: tuple[Finding, ...] = ()
    plan = platform.plan(desired.plan) if platform is not None else None
    if plan is None:
        # Of a plan that nobody knows, nothing can be said of managed.
        plan = ServicePlan(desired.plan, managed=True)
        unknown = () if platform is None else (_unknown_plan(desired, platform),)
    return *unknown, *_references(AccountInput(desired, current, plan))


def _references(inputs: AccountInput) -> tuple[Finding, ...]:
    """A profile whose own definition has errors is not unknown; where one does not tell its name,
    it may be any."""
    profiles = decide_profiles(inputs)
    unsound = inputs.desired.unsound
    defined = frozenset(name for name in unsound if name is not None)
    problems = check_references(inputs, frozenset(profiles.after) | profiles.waiting | defined)
    if None not in unsound:
        return problems
    return tuple(
        problem for problem in problems if not has_trait(problem.code, Trait.PROFILE_REFERENCE)
    )


def _unknown_plan(desired: DesiredAccount, platform: Platform) -> Finding:
    names = [known.name for known in platform.plans]
    near = did_you_mean(desired.plan, names)
    return finding(
        "unknown-plan",
        f"Account {desired.key.name} is on plan {desired.plan}, which the platform does not"
        " define.",
        hint=f"Did you mean {near}?" if near else f"The platform defines: {', '.join(names)}.",
        where=desired.where.at("spec", "plan"),
        account=desired.key,
    )
