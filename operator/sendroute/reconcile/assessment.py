"""What a result leaves open, account by account. It is kept in the store, so that a person can see
it and approve what a guard has stopped."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from sendroute.model.account_status import (
    AccountStatus,
    PlanStep,
    ReportedFinding,
    StatusReason,
    StatusReport,
    reported,
)
from sendroute.model.change import AccountPlan, Action, Change, DomainCounts, WholeChange
from sendroute.model.codes import Code, Trait, has_trait
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Locate, Severity, located
from sendroute.model.outcome import AccountOutcome, Outcome, Result
from sendroute.model.owner import PLATFORM, Owner, owner_names
from sendroute.model.transition import step
from sendroute.model.waiting import Wait, WaitingDomains, waiting_together
from sendroute.planner.digest import digest
from sendroute.planner.guards import NOTHING_HELD, HeldChanges, total

_FINDINGS = 20
_STEPS = 50
_DOMAINS = 1000

AccountStatuses = Mapping[Owner, AccountStatus]


class Assessment(Struct, frozen=True):
    """What a result leaves open.

    ``statuses`` are those of the planned accounts that are not fully applied. ``retryable`` are the
    accounts for which a retry may succeed without an edit or an approval. ``written`` are the
    statuses that differ from the stored ones, ``cleared`` the owners whose status is deleted,
    ``voided_approvals`` the statuses whose approval is void, because it is for another plan.
    """

    statuses: AccountStatuses
    retryable: frozenset[Owner]
    written: tuple[AccountStatus, ...]
    cleared: frozenset[Owner]
    voided_approvals: tuple[AccountStatus, ...]


def assess(
    result: Result,
    before: AccountStatuses,
    only: frozenset[AccountKey] | None,
    at: datetime,
    commit: str | None,
    locate: Locate,
    held: HeldChanges = NOTHING_HELD,
) -> Assessment:
    """Derive the account statuses from a result. An account that was not tried keeps its status.

    Args:
        result: the outcome of each account.
        before: every status in the store.
        only: the accounts that were planned; None for all.
        at: the time of the result, aware, in UTC.
        commit: the commit of the manifests; None outside git.
        locate: finds the positions of findings.
        held: the whole changes that were held back before the commit, which deletes statuses.

    Returns:
        The new statuses, and how they differ from the stored ones.
    """
    statuses, again = _new_statuses(result, before, StatusContext(at, commit, locate))
    cleared = before.keys() - statuses.keys()
    if only is not None:
        cleared &= only | {PLATFORM}
    unplanned = (held.keys() & before.keys()) - statuses.keys() - cleared
    others = _with_whole_changes({key: before[key] for key in unplanned}, result, held)
    now = _with_whole_changes(statuses, result, held)
    written = (
        status
        for key, status in sorted({**others, **now}.items(), key=_order)
        if status != before.get(key)
    )
    return Assessment(
        now,
        frozenset(again),
        tuple(written),
        frozenset(cleared),
        tuple(_voided_approvals(result, before, now)),
    )


class StatusContext(NamedTuple):
    """When the status is recorded, from which commit, and how to find its positions."""

    at: datetime
    commit: str | None
    locate: Locate


def _new_statuses(
    result: Result, before: AccountStatuses, context: StatusContext
) -> tuple[dict[Owner, AccountStatus], set[Owner]]:
    """The status of everything planned that is not fully applied, and what can be retried."""
    of_account = _by_account(result.plan.findings)
    plans = {plan.key: plan for plan in result.plan.accounts}
    statuses: dict[Owner, AccountStatus] = {}
    retryable: set[Owner] = set()
    for outcome in result.accounts:
        key, plan = outcome.key, plans[outcome.key]
        findings = (*of_account.get(key, ()), *plan.findings, *outcome.findings)
        status = _account_status(plan, outcome, findings, context)
        old = before.get(key)
        tried = plan.stopped or outcome.outcome is not Outcome.SKIPPED
        if old is not None and (not tried or _keeps_approval(old, plan, outcome)):
            status = old
        if status is not None:
            statuses[key] = _with_earlier_date(status, old)
        if _is_retryable(findings):
            retryable.add(key)
    platform = _platform_status(result, context)
    if platform is not None:
        statuses[PLATFORM] = _with_earlier_date(platform, before.get(PLATFORM))
    if _is_platform_left_open(result):
        retryable.add(PLATFORM)
    return statuses, retryable


def _voided_approvals(
    result: Result, before: AccountStatuses, now: AccountStatuses
) -> Iterator[AccountStatus]:
    """The approved statuses of accounts that now have another plan."""
    committed = {account.key for account in result.accounts if account.outcome is Outcome.COMMITTED}
    for key, old in before.items():
        after = now.get(key)
        has_other_plan = after is not None and after.digest != old.digest
        if old.approved and key not in committed and has_other_plan:
            yield old


def _is_retryable(findings: Iterable[Finding]) -> bool:
    """Whether a retry may succeed without an edit or an approval: a provider answers, a secret
    was created, the store can be written."""
    return any(
        _is_reason(finding) and has_trait(finding.code, Trait.TRANSIENT) for finding in findings
    )


def pending_counts(statuses: AccountStatuses) -> dict[AccountKey, DomainCounts]:
    """What the guards count of plans that were not committed, by account.

    Args:
        statuses: the account statuses.

    Returns:
        The counts; an account of which nothing is pending is left out.
    """
    return {
        key: status.report.counts
        for key, status in statuses.items()
        if isinstance(key, AccountKey) and status.report.counts != DomainCounts()
    }


def held_changes(statuses: AccountStatuses) -> dict[AccountKey, WholeChange]:
    """The whole changes because of whose size accounts are held back, by account.

    Args:
        statuses: the account statuses.

    Returns:
        The whole changes; an account that is not held back because of one is left out.
    """
    return {
        key: status.report.whole
        for key, status in statuses.items()
        if isinstance(key, AccountKey) and status.report.whole is not None
    }


def _with_whole_changes(
    statuses: Mapping[Owner, AccountStatus], result: Result, held: HeldChanges
) -> dict[Owner, AccountStatus]:
    """Keep, in the status of each account that was held back because of a whole change, how large
    that was, with what was applied of it now."""
    written = {
        account.key
        for account in result.accounts
        if account.outcome in (Outcome.COMMITTED, Outcome.UNCHANGED)
    }
    applied = total(
        plan.counts for plan in result.plan.accounts if plan.key in written & held.keys()
    )
    kept = dict(statuses)
    for key, status in statuses.items():
        whole = status.report.whole
        if whole is None and isinstance(key, AccountKey) and key not in written:
            whole = held.get(key)
        if whole is not None:
            whole = WholeChange(whole.domain_count, total((whole.applied, applied)))
            kept[key] = replace(status, report=replace(status.report, whole=whole))
    return kept


def _keeps_approval(old: AccountStatus, plan: AccountPlan, outcome: AccountOutcome) -> bool:
    """Whether the approval stays valid, because the approved plan could not be committed."""
    tried = outcome.outcome not in (Outcome.COMMITTED, Outcome.UNCHANGED)
    return old.approved and tried and old.digest == digest(plan)


def _account_status(
    plan: AccountPlan, outcome: AccountOutcome, findings: Sequence[Finding], context: StatusContext
) -> AccountStatus | None:
    written = outcome.outcome in (Outcome.COMMITTED, Outcome.UNCHANGED)
    counts = DomainCounts() if written else plan.counts
    if plan.stopped and any(has_trait(finding.code, Trait.APPROVABLE) for finding in plan.findings):
        report = _report(findings, plan.changes, context.locate, counts)
        report = replace(report, whole=plan.whole)
        return AccountStatus(
            plan.key, StatusReason.HELD_BACK, report, context.at, digest(plan), context.commit
        )
    severities = {finding.severity for finding in findings}
    waits = plan.stopped and outcome.outcome is Outcome.SKIPPED
    skips = waits or any(change.action is Action.SKIP for change in plan.changes)
    if outcome.outcome is Outcome.FAILED:
        reason = StatusReason.FAILED
    elif outcome.outcome is Outcome.REFUSED or Severity.REFUSED in severities:
        reason = StatusReason.REFUSED
    elif skips or Severity.ERROR in severities:
        reason = StatusReason.SKIPPED
    else:
        return None
    report = _report(findings, (), context.locate, counts)
    return AccountStatus(plan.key, reason, report, context.at, commit=context.commit)


def _platform_status(result: Result, context: StatusContext) -> AccountStatus | None:
    """The status of what belongs to no account: the platform, and files of which it is unknown
    whose they are."""
    general = [finding for finding in result.plan.findings if finding.account is None]
    severities = {finding.severity for finding in general}
    if result.platform in (Outcome.FAILED, Outcome.REFUSED):
        reason, findings = StatusReason.FAILED, [*result.findings, *general]
    elif Severity.REFUSED in severities:
        reason, findings = StatusReason.REFUSED, general
    elif _is_platform_left_open(result) or Severity.ERROR in severities:
        reason, findings = StatusReason.SKIPPED, general
    else:
        return None
    report = _report(findings, (), context.locate)
    return AccountStatus(PLATFORM, reason, report, context.at, commit=context.commit)


def _is_platform_left_open(result: Result) -> bool:
    """Whether the platform's own change, or a part of it, was not committed."""
    change = result.plan.platform
    skipped = change is not None and change.action is Action.SKIP
    kept = (
        finding.account is None and has_trait(finding.code, Trait.SKIPPED)
        for finding in result.plan.findings
    )
    return skipped or any(kept) or result.platform in (Outcome.FAILED, Outcome.REFUSED)


def _report(
    findings: Iterable[Finding],
    changes: Iterable[Change],
    locate: Locate,
    counts: DomainCounts = DomainCounts(),  # noqa: B008 - it is frozen
) -> StatusReport:
    """Errors come before skipped domains, because a million domains may wait for one profile."""
    reasons = [finding for finding in findings if _is_reason(finding)]
    reasons.sort(key=lambda finding: has_trait(finding.code, Trait.SKIPPED))
    waiting = waiting_together(
        (finding.domain, finding.wait)
        for finding in reasons
        if finding.domain is not None and finding.wait is not None
    )
    listed = _once_per_wait(reasons)
    done = [change for change in changes if change.action is not Action.SKIP]
    return StatusReport(
        tuple(_reported(located(finding, locate), waiting) for finding in listed[:_FINDINGS]),
        max(0, len(listed) - _FINDINGS),
        dict(sorted(Counter(change.action.value for change in done).items())),
        tuple(
            PlanStep(
                change.kind.value,
                change.name,
                change.action.value,
                change.message,
                step(change),
                str(change.reason),
            )
            for change in islice(done, _STEPS)
        ),
        counts,
    )


def _once_per_wait(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, but of domains that wait for the same thing only the first one."""
    seen: set[Wait] = set()
    listed = []
    for finding in findings:
        if finding.wait is None or finding.wait not in seen:
            listed.append(finding)
        if finding.wait is not None:
            seen.add(finding.wait)
    return listed


def _reported(finding: Finding, waiting: Mapping[Wait, WaitingDomains]) -> ReportedFinding:
    stored = reported(finding)
    together = waiting.get(finding.wait) if finding.wait is not None else None
    if together is None or len(together.domains) == 1:
        return stored
    named = tuple(together.domains[:_DOMAINS])
    more = len(together.domains) - len(named)
    return replace(stored, message=together.message, domain=None, domains=named, more_domains=more)


def _is_reason(finding: Finding) -> bool:
    return finding.severity in (Severity.ERROR, Severity.REFUSED) or has_trait(
        finding.code, Trait.SKIPPED
    )


def _by_account(findings: Iterable[Finding]) -> dict[AccountKey, list[Finding]]:
    by_account: dict[AccountKey, list[Finding]] = {}
    for finding in findings:
        if finding.namespace is not None and finding.account is not None:
            by_account.setdefault(AccountKey(finding.namespace, finding.account), []).append(
                finding
            )
    return by_account


def _with_earlier_date(status: AccountStatus, before: AccountStatus | None) -> AccountStatus:
    """The status with the earlier time and the approval, if nothing else has changed."""
    if before is None or (before.reason, before.digest) != (status.reason, status.digest):
        return status
    if status.digest is None and _as_shown(before.report) != _as_shown(status.report):
        return status
    return AccountStatus(
        status.key,
        status.reason,
        status.report,
        before.since,
        status.digest,
        before.commit,
        before.approval,
    )


def _as_shown(report: StatusReport) -> StatusReport:
    """The report without the data of its findings, which an earlier version did not store: an
    upgrade is no new status. Without a contest too, which is added after each round."""
    findings = (
        replace(finding, domain=None, wait=None, for_tenant=None, profile=None)
        for finding in report.findings
        if finding.code != Code.CONTESTED_ACCOUNT
    )
    return replace(report, findings=tuple(findings))


def _order(item: tuple[Owner, AccountStatus]) -> tuple[str, str]:
    return owner_names(item[0])
