"""Findings below error that the author of an object accepts are silent where they arise."""

from collections.abc import Iterable

from msgspec.structs import replace

from sendroute.model.change import Plan
from sendroute.model.desired import Desired
from sendroute.model.finding import Finding


def without_accepted(plan: Plan, desired: Desired) -> Plan:
    """Remove the findings that the manifests accept. Changes stay as they are.

    Args:
        plan: the plan, with all its findings.
        desired: the manifests that it was made from.

    Returns:
        The plan without them.
    """
    if not desired.accepted:
        return plan

    def rest(findings: Iterable[Finding]) -> tuple[Finding, ...]:
        return tuple(item for item in findings if not desired.accepts(item))

    accounts = tuple(replace(account, findings=rest(account.findings)) for account in plan.accounts)
    return replace(plan, accounts=accounts, findings=rest(plan.findings))
