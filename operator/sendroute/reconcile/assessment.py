"""What a result leaves unsettled, account by account: kept in the store, so that a person can see
it and let through what a guard has stopped."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from msgspec import Struct

from sendroute.model.account_status import AccountStatus, Report, StatusReason, Step, reported
from sendroute.model.change import AccountPlan, Action, Change
from sendroute.model.codes import Code, Trait, has_trait, why_not_saved
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Locate, Severity, located
from sendroute.model.outcome import AccountOutcome, Outcome, Result
from sendroute.model.owner import PLATFORM, Owner, owner_names
from sendroute.planner.digest import digest

_FINDINGS = 20
_STEPS = 50

AccountStatuses = Mapping[Owner, AccountStatus]


class Assessment(Struct, frozen=True):
    """``now`` is what was looked at and is not settled; ``again`` are those of them that may go
    better without an edit or an approval. ``written`` differ from what is kept, ``cleared`` are
    kept no more; ``voided`` were approved, but for another plan than there is now."""

    now: AccountStatuses
    again: frozenset[Owner]
    written: tuple[AccountStatus, ...]
    cleared: frozenset[Owner]
    voided: tuple[AccountStatus, ...]


def assess(
    result: Result,
    before: AccountStatuses,
    only: frozenset[AccountKey] | None,
    at: datetime,
    commit: str | None,
    locate: Locate,
) -> Assessment:
    """``before`` is all that is kept, ``only`` what was planned (None: everything). What was not
    tried keeps the standing it has."""
    of_account = _by_account(result.plan.findings)
    unread = tuple(f for f in result.plan.findings if f.account is None and _is_reason(f))
    plans = {plan.key: plan for plan in result.plan.accounts}
    now: dict[Owner, AccountStatus] = {}
    again: set[Owner] = set()
    for outcome in result.accounts:
        key, plan = outcome.key, plans[outcome.key]
        old = before.get(key)
        found = (*of_account.get(key, ()), *plan.findings, *outcome.findings)
        if outcome.outcome is Outcome.FAILED and not any(map(_is_reason, found)):
            found = unread  # of an unreadable file that may belong to the account
        standing = _unsettled(plan, outcome, found, Telling(at, commit, locate))
        tried = outcome.outcome is not Outcome.SKIPPED
        if old is not None and (not tried or _waits_on(old, plan, outcome)):
            standing = old
        if standing is not None:
            now[key] = _lasting(standing, old)
        if _passes(found):
            again.add(key)
    platform = _of_platform(result, Telling(at, commit, locate))
    if platform is not None:
        now[PLATFORM] = _lasting(platform, before.get(PLATFORM))
        again.add(PLATFORM)
    gone = before.keys() - now.keys()
    if only is not None:
        gone &= only | {PLATFORM}
    committed = {each.key for each in result.accounts if each.outcome is Outcome.COMMITTED}
    voided = (
        old
        for key, old in before.items()
        if old.approved and key not in committed and _is_other(old, now.get(key))
    )
    return Assessment(
        now,
        frozenset(again),
        tuple(one for key, one in sorted(now.items(), key=_order) if one != before.get(key)),
        frozenset(gone),
        tuple(voided),
    )


class Telling(NamedTuple):
    """When the status is recorded, from which commit, and how to find its positions."""

    at: datetime
    commit: str | None
    locate: Locate


def _passes(found: Iterable[Finding]) -> bool:
    """Whether a retry may succeed without an edit or an approval: a provider answers, a secret
    was created, the store can be written."""
    return any(_is_reason(each) and has_trait(each.code, Trait.TRANSIENT) for each in found)


def _waits_on(old: AccountStatus, plan: AccountPlan, outcome: AccountOutcome) -> bool:
    """The plan that was approved could not be committed: the approval stands."""
    tried = outcome.outcome not in (Outcome.COMMITTED, Outcome.UNCHANGED)
    return old.approved and tried and old.digest == digest(plan)


def _unsettled(
    plan: AccountPlan, outcome: AccountOutcome, found: Sequence[Finding], telling: Telling
) -> AccountStatus | None:
    if plan.stopped and any(has_trait(each.code, Trait.APPROVABLE) for each in plan.findings):
        report = _report(found, plan.changes, telling.locate)
        return AccountStatus(
            plan.key, StatusReason.HELD_BACK, report, telling.at, digest(plan), telling.commit
        )
    severities = {each.severity for each in found}
    skips = any(change.action is Action.SKIP for change in plan.changes)
    if outcome.outcome is Outcome.FAILED:
        how = StatusReason.FAILED
    elif outcome.outcome is Outcome.REFUSED or Severity.REFUSED in severities:
        how = StatusReason.REFUSED
    elif skips or Severity.ERROR in severities:
        how = StatusReason.SKIPPED
    else:
        return None
    report = _report(found, (), telling.locate)
    return AccountStatus(plan.key, how, report, telling.at, commit=telling.commit)


def _of_platform(result: Result, telling: Telling) -> AccountStatus | None:
    change = result.plan.platform
    if result.platform in (Outcome.FAILED, Outcome.REFUSED):
        how, found = StatusReason.FAILED, list(result.findings)
    elif change is not None and change.action is Action.SKIP:
        own = (each for each in result.plan.findings if each.account is None)
        how, found = StatusReason.SKIPPED, [each for each in own if why_not_saved(each.code)]
    else:
        return None
    report = _report(found, (), telling.locate)
    return AccountStatus(PLATFORM, how, report, telling.at, commit=telling.commit)


def _report(found: Iterable[Finding], changes: Iterable[Change], locate: Locate) -> Report:
    """Errors first, and each once: a million domains may wait for one profile."""
    reasons = [each for each in found if _is_reason(each)]
    reasons.sort(key=lambda each: each.code == Code.DEPENDENCY_SKIPPED)
    first = [located(each, locate) for each in reasons[:_FINDINGS]]
    done = [change for change in changes if change.action is not Action.SKIP]
    return Report(
        tuple(
            reported(each, str(each.position) if each.position is not None else None)
            for each in first
        ),
        len(reasons) - len(first),
        dict(sorted(Counter(change.action.value for change in done).items())),
        tuple(
            Step(change.kind.value, change.name, change.action.value, change.message)
            for change in islice(done, _STEPS)
        ),
    )


def _is_reason(found: Finding) -> bool:
    return (
        found.severity in (Severity.ERROR, Severity.REFUSED)
        or found.code == Code.DEPENDENCY_SKIPPED
    )


def _by_account(findings: Iterable[Finding]) -> dict[AccountKey, list[Finding]]:
    found: dict[AccountKey, list[Finding]] = {}
    for each in findings:
        if each.namespace is not None and each.account is not None:
            found.setdefault(AccountKey(each.namespace, each.account), []).append(each)
    return found


def _lasting(standing: AccountStatus, before: AccountStatus | None) -> AccountStatus:
    """What has not changed is since when it was, and an approval of the very same plan stands."""
    if before is None or (before.outcome, before.digest) != (standing.outcome, standing.digest):
        return standing
    if standing.digest is None and before.report != standing.report:
        return standing
    return AccountStatus(
        standing.key,
        standing.outcome,
        standing.report,
        before.since,
        standing.digest,
        before.commit,
        before.approval,
    )


def _order(item: tuple[Owner, AccountStatus]) -> tuple[str, str]:
    return owner_names(item[0])


def _is_other(before: AccountStatus, after: AccountStatus | None) -> bool:
    return after is not None and after.digest != before.digest
