"""Accounts that are not planned, for an error in their own documents or in what they are planned
from: what is wrong with their references all the same, so that one run tells everything."""

from sendroute.model.codes import finding
from sendroute.model.finding import Finding
from sendroute.model.held import HeldAccount
from sendroute.model.platform import Plan, Platform
from sendroute.model.wanted import WantedAccount
from sendroute.planner.case import Case
from sendroute.planner.profiles import decide_profiles
from sendroute.planner.references import check_references
from sendroute.planner.spelling import did_you_mean

_OF_PROFILES = frozenset({"unknown-profile", "profile-deleted"})


def check_stopped(
    wanted: WantedAccount, held: HeldAccount, platform: Platform | None
) -> tuple[Finding, ...]:
    """What stays wrong whatever the documents with errors say once they are mended. ``platform``
    is None where none can be read."""
    if wanted.suspended:
        return ()
    unknown: tuple[Finding, ...] = ()
    plan = platform.plan(wanted.plan) if platform is not None else None
    if plan is None:
        # Of a plan that nobody knows, nothing can be said of managed.
        plan = Plan(wanted.plan, managed=True)
        unknown = () if platform is None else (_unknown_plan(wanted, platform),)
    return *unknown, *_references(Case(wanted, held, plan))


def _references(case: Case) -> tuple[Finding, ...]:
    """A profile whose own definition has errors is not unknown; where one does not tell its name,
    it may be any."""
    profiles = decide_profiles(case)
    unsound = case.wanted.unsound
    defined = frozenset(name for name in unsound if name is not None)
    found = check_references(case, frozenset(profiles.after) | profiles.waiting | defined)
    if None not in unsound:
        return found
    return tuple(each for each in found if each.code not in _OF_PROFILES)


def _unknown_plan(wanted: WantedAccount, platform: Platform) -> Finding:
    names = [known.name for known in platform.plans]
    return finding(
        "unknown-plan",
        f"Account {wanted.key.name} is on plan {wanted.plan}, which the platform does not define.",
        hint=did_you_mean(wanted.plan, names, f"The platform defines: {', '.join(names)}."),
        where=wanted.where.at("spec", "plan"),
        account=wanted.key,
    )
