"""Accounts that are not planned because of an error in their documents or in the platform. Their
references are checked all the same, so that one run reports every error."""

from collections.abc import Sequence

from msgspec.structs import replace

from sendroute.model.codes import Trait, finding, has_trait
from sendroute.model.current import CurrentAccount
from sendroute.model.desired import AccountKey, DesiredAccount
from sendroute.model.finding import Finding, whole_file
from sendroute.model.platform import Platform, ServicePlan
from sendroute.model.spelling import did_you_mean
from sendroute.model.words import unlisted
from sendroute.planner.inputs import AccountInput
from sendroute.planner.profiles import decide_profiles
from sendroute.planner.references import check_references

_RELATED = 10


def stopped_by_file(key: AccountKey, problem: Finding) -> Finding:
    """Report that an account is stopped because a file that holds documents of it is not
    well-formed: any of its documents may be half written.

    Args:
        key: the account.
        problem: the problem of the file.

    Returns:
        The finding, at the position of the problem.
    """
    reported = finding(
        "held-back",
        f"Account {key} is unchanged, because a file that holds documents of it is not well-formed:"
        f" {problem.message}",
        hint="Fix that file: even its readable documents may be half written.",
        account=key,
    )
    return at_problems(reported, (problem,))


def at_problems(reported: Finding, problems: Sequence[Finding]) -> Finding:
    """Put a finding at the positions of the problems that it follows from. It keeps its account
    and its words, also if a problem is in a file outside the tree: it quotes nothing of it.

    Args:
        reported: the finding, without a position.
        problems: the problems; at least one.

    Returns:
        The finding at the first of them; the others are related to it.
    """
    first, *others = problems
    where = first.where
    if where is not None and where.outside:
        where = whole_file(where.file)
    locations = (item.position or item.where for item in others[:_RELATED])
    related = tuple(location for location in locations if location is not None)
    message = reported.message + unlisted(len(others) - _RELATED)
    return replace(reported, message=message, where=where, position=first.position, related=related)


def check_stopped(
    desired: DesiredAccount, current: CurrentAccount, platform: Platform | None
) -> tuple[Finding, ...]:
    """Find the errors that remain after the documents with errors are fixed.

    Args:
        desired: the manifests of the account.
        current: its state in the store.
        platform: the platform; None if none can be read.

    Returns:
        The findings.
    """
    if desired.suspended:
        return ()
    unknown: tuple[Finding, ...] = ()
    plan = platform.plan(desired.plan) if platform is not None else None
    if plan is None:
        # It is unknown whether an undefined plan offers managed sending.
        plan = ServicePlan(desired.plan, managed=True)
        unknown = () if platform is None else (_unknown_plan(desired, platform),)
    return *unknown, *_references(AccountInput(desired, current, plan))


def _references(inputs: AccountInput) -> tuple[Finding, ...]:
    """A profile whose definition has errors is not reported as unknown. If a definition's name
    cannot be read, it may be that of any profile, so no profile is reported."""
    profiles = decide_profiles(inputs)
    unsound = inputs.desired.unsound
    defined = frozenset(name for name in unsound if name is not None)
    problems = check_references(inputs, frozenset(profiles.after) | profiles.unsaved | defined)
    if None not in unsound:
        return problems
    return tuple(
        problem for problem in problems if not has_trait(problem.code, Trait.PROFILE_REFERENCE)
    )


def _unknown_plan(desired: DesiredAccount, platform: Platform) -> Finding:
    names = [known.name for known in platform.plans]
    return finding(
        "unknown-plan",
        f"Account {desired.key} is on service plan {desired.plan}, which the platform does"
        " not define.",
        hint=did_you_mean(desired.plan, names) or f"The platform defines: {', '.join(names)}.",
        where=desired.where.at("spec", "plan"),
        account=desired.key,
    )
