"""Domains that could send and cannot any more, because they become unconfigured.

It is a warning, unless it was asked for: the domain's manifest declares unconfigured, or a
confirmed apply-all switches every domain to it. A removed profile has its own warning, and so has a
domain that leaves its account before another one can take it.
"""

from collections.abc import Iterable, Mapping

from sendroute.model.change import AccountPlan, Action, ChangeReason, DomainChange, ProfileChange
from sendroute.model.codes import finding
from sendroute.model.current import DomainState
from sendroute.model.desired import AccountKey, DesiredAccount
from sendroute.model.finding import Finding
from sendroute.model.route import UNCONFIGURED, Origin
from sendroute.model.words import counted, first_of

_LISTED = 3


def moved_domains(plans: Iterable[AccountPlan]) -> dict[str, DomainState]:
    """Return the state in its old account of each domain that moves, by its name.

    Args:
        plans: the plans of the accounts at both ends.
    """
    return {
        change.name: change.before
        for plan in plans
        if not plan.stopped
        for change in plan.changes
        if change.reason is ChangeReason.MOVED
        and isinstance(change, DomainChange)
        and change.before is not None
    }


def report_no_longer_sending(
    plan: AccountPlan,
    desired: Mapping[AccountKey, DesiredAccount],
    moved: Mapping[str, DomainState],
) -> tuple[Finding, ...]:
    """Report the domains of an account that could send and cannot any more.

    Args:
        plan: the plan of the account.
        desired: the manifests of the accounts.
        moved: what :func:`moved_domains` returned.

    Returns:
        One warning, or none.
    """
    account = desired.get(plan.key)
    if plan.stopped or account is None:
        return ()
    removed = {
        change.name
        for change in plan.changes
        if isinstance(change, ProfileChange) and change.action is Action.DELETE
    }
    domains = []
    for change in plan.changes:
        if not isinstance(change, DomainChange) or not _is_silenced(change.after):
            continue
        before = change.before or moved.get(change.name)
        if before is None or before.route == UNCONFIGURED:
            continue
        if change.before is None or before.route.profile not in removed:
            domains.append(change.name)
    if not domains:
        return ()
    return (
        finding(
            "domains-unconfigured",
            f"{counted(len(domains), 'domain')} of account {plan.key} can no longer send with this"
            f" change: {first_of(domains, _LISTED)}.",
            hint="Declare another route, or unconfigured if a domain must not send.",
            where=account.where,
            account=plan.key,
        ),
    )


def _is_silenced(state: DomainState | None) -> bool:
    """Whether a domain may not send, without having been asked for."""
    return (
        state is not None
        and state.route == UNCONFIGURED
        and state.declared != UNCONFIGURED
        and state.origin is not Origin.APPLY_ALL
    )
