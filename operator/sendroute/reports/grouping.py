"""Group similar changes, so that shortening a long list hides no other kind of change."""

from collections.abc import Iterable, Sequence

from sendroute.model.account_status import PlanStep
from sendroute.model.change import Change, DomainChange, Kind, Shadowed
from sendroute.model.codes import Code
from sendroute.model.finding import Finding, Severity
from sendroute.model.route import Route
from sendroute.model.waiting import Wait, WaitingDomains

MAX_SIMILAR = 20
"""Similar changes of one account that are listed; the rest is counted, or shown on request."""

MAX_ACCOUNTS = 1000
"""Accounts that a text lists; the rest is counted."""

SimilarityKey = tuple[str, str, str, Route | None, Route | None, Wait | None]


def _similarity_key(change: Change) -> SimilarityKey:
    """Similar changes do the same for the same reason: for domains, between the same routes."""
    before = after = wait = None
    if isinstance(change, DomainChange):
        before = change.before.route if change.before is not None else None
        after = change.after.route if change.after is not None else None
        wait = change.wait
    return change.kind, change.action, change.reason, before, after, wait


def group_similar(changes: Iterable[Change]) -> list[list[Change]]:
    """The changes in groups of similar ones, in the order of each group's first change."""
    groups: dict[SimilarityKey, list[Change]] = {}
    for change in changes:
        groups.setdefault(_similarity_key(change), []).append(change)
    return list(groups.values())


def group_steps(steps: Iterable[PlanStep]) -> list[list[PlanStep]]:
    """The steps of a held-back plan in groups of similar ones, as :func:`group_similar` groups
    changes."""
    groups: dict[tuple[str, ...], list[PlanStep]] = {}
    for step in steps:
        routes = step.does if step.kind == Kind.DOMAIN else ""
        groups.setdefault((step.kind, step.action, step.reason, routes), []).append(step)
    return list(groups.values())


def group_changes(changes: Iterable[Change]) -> tuple[list[list[Change]], list[WaitingDomains]]:
    """The groups of similar changes, and separately the domains that wait together."""
    groups, waiting = [], []
    for group in group_similar(changes):
        together = waiting_of(group)
        if together is None:
            groups.append(group)
        else:
            waiting.append(together)
    return groups, waiting


def waiting_of(group: Sequence[Change]) -> WaitingDomains | None:
    """The domains of a group of similar changes that wait for the same thing; None for another
    group, and for one domain."""
    first = group[0]
    if len(group) == 1 or not isinstance(first, DomainChange) or first.wait is None:
        return None
    domains = [change.name for change in group]
    return WaitingDomains(domains, first.wait.of_all(domains))


def group_shadowed(shadowed: Iterable[Shadowed]) -> list[list[Shadowed]]:
    """The shadowed routes in groups of those that differ only by their domain, in the order of each
    group's first one."""
    groups: dict[tuple[Route, Route, str], list[Shadowed]] = {}
    for shadow in shadowed:
        key = shadow.declared, shadow.assigned, shadow.apply_all
        groups.setdefault(key, []).append(shadow)
    return list(groups.values())


def group_findings(findings: Iterable[Finding]) -> list[list[Finding]]:
    """The findings in groups, in the order of each group's first one: the warnings and notes of one
    account that differ only by their domain, and the errors that refer to the same account or
    profile that is missing. Every other error and refusal is alone."""
    groups: dict[object, list[Finding]] = {}
    for index, finding in enumerate(findings):
        key: object = index
        mild = finding.severity in (Severity.WARNING, Severity.INFO)
        if finding.code == Code.UNKNOWN_ACCOUNT and finding.account is not None:
            key = finding.code, finding.namespace, finding.account, finding.hint
        elif finding.domain is not None and (mild or finding.code == Code.UNKNOWN_PROFILE):
            texts = [
                text and text.replace(finding.domain, "")
                for text in (finding.message, finding.hint)
            ]
            account = finding.namespace, finding.account
            key = finding.code, finding.severity, account, finding.related, *texts
        groups.setdefault(key, []).append(finding)
    return list(groups.values())
