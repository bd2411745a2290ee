"""What a result leaves unsettled, account by account: kept in the store, so that a person can see
it and let through what a guard has stopped."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice

from msgspec import Struct

from sendroute.model.change import PLATFORM_KEY, AccountPlan, Action, Change
from sendroute.model.exit_status import UNPROVEN
from sendroute.model.finding import Finding, Severity
from sendroute.model.outcome import AccountOutcome, Outcome, Result
from sendroute.model.standing import Report, Standing, Step, Unsettled, told
from sendroute.model.wanted import AccountKey
from sendroute.planner.digest import digest
from sendroute.reconcile.planned import Locate

GUARDS = frozenset({"too-many-changes", "too-many-removals"})
"""What waits for an approval."""
_FINDINGS = 20
_STEPS = 50

Standings = Mapping[AccountKey, Standing]


class Settled(Struct, frozen=True):
    """``written`` differ from what is kept, ``cleared`` are kept no more; ``voided`` were
    approved, but another plan than this one."""

    now: Standings
    written: tuple[Standing, ...]
    cleared: frozenset[AccountKey]
    voided: tuple[Standing, ...]


def settle(
    result: Result,
    before: Standings,
    only: frozenset[AccountKey] | None,
    at: datetime,
    commit: str | None,
    locate: Locate,
) -> Settled:
    """``before`` is all that is kept, ``only`` what was planned (None: everything). What was not
    tried keeps the standing it has."""
    of_account = _by_account(result.plan.findings)
    plans = {plan.key: plan for plan in result.plan.accounts}
    now: dict[AccountKey, Standing] = {}
    for outcome in result.accounts:
        key = outcome.key
        if outcome.outcome is Outcome.SKIPPED:
            if key in before:
                now[key] = before[key]
            continue
        found = (*of_account.get(key, ()), *plans[key].findings, *outcome.findings)
        unsettled = _unsettled(plans[key], outcome, found)
        if unsettled is not None:
            now[key] = _standing(plans[key], unsettled, found, at, commit, locate)
    platform = _of_platform(result, at, commit, locate)
    if platform is not None:
        now[PLATFORM_KEY] = platform
    kept = {key: _lasting(standing, before.get(key)) for key, standing in now.items()}
    gone = before.keys() - kept.keys()
    if only is not None:
        gone &= only | {PLATFORM_KEY}
    return Settled(
        kept,
        tuple(one for key, one in sorted(kept.items()) if one != before.get(key)),
        frozenset(gone),
        tuple(old for old in before.values() if _is_void(old, kept.get(old.key))),
    )


def is_tried_again(standing: Standing) -> bool:
    """Whether it may go better without an edit or an approval: a provider answers, a secret is
    there, the store can be written."""
    return any(
        found.code in UNPROVEN or found.code in _PASSING for found in standing.report.findings
    )


_PASSING = frozenset({"stale-plan", "store-failed", "store-locked"})


def _unsettled(
    plan: AccountPlan, outcome: AccountOutcome, found: Iterable[Finding]
) -> Unsettled | None:
    if plan.stopped and any(each.code in GUARDS for each in plan.findings):
        return Unsettled.HELD_BACK
    if outcome.outcome is Outcome.FAILED:
        return Unsettled.FAILED
    severities = {each.severity for each in found}
    if outcome.outcome is Outcome.REFUSED or Severity.REFUSED in severities:
        return Unsettled.REFUSED
    skips = any(change.action is Action.SKIP for change in plan.changes)
    return Unsettled.SKIPPED if skips or Severity.ERROR in severities else None


def _standing(
    plan: AccountPlan,
    unsettled: Unsettled,
    found: Iterable[Finding],
    at: datetime,
    commit: str | None,
    locate: Locate,
) -> Standing:
    if unsettled is not Unsettled.HELD_BACK:
        return Standing(plan.key, unsettled, _report(found, (), locate), at, commit=commit)
    report = _report(found, plan.changes, locate)
    return Standing(plan.key, unsettled, report, at, digest(plan), commit)


def _of_platform(
    result: Result, at: datetime, commit: str | None, locate: Locate
) -> Standing | None:
    change = result.plan.platform
    if result.platform in (Outcome.FAILED, Outcome.REFUSED):
        report = _report(result.findings, (), locate)
        return Standing(PLATFORM_KEY, Unsettled.FAILED, report, at, commit=commit)
    if change is not None and change.action is Action.SKIP:
        own = (each for each in result.plan.findings if each.account is None)
        why = [each for each in own if each.code in UNPROVEN]
        report = _report(why, (), locate)
        return Standing(PLATFORM_KEY, Unsettled.SKIPPED, report, at, commit=commit)
    return None


def _report(found: Iterable[Finding], changes: Iterable[Change], locate: Locate) -> Report:
    """Errors first, and each once: a million domains may wait for one profile."""
    reasons = [each for each in found if _is_reason(each)]
    reasons.sort(key=lambda each: each.code == "dependency-skipped")
    first = reasons[:_FINDINGS]
    places = [
        each.position or (locate(each.where) if each.where is not None else None) for each in first
    ]
    done = [change for change in changes if change.action is not Action.SKIP]
    return Report(
        tuple(
            told(each, str(place) if place is not None else None)
            for each, place in zip(first, places, strict=True)
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
        found.severity in (Severity.ERROR, Severity.REFUSED) or found.code == "dependency-skipped"
    )


def _by_account(findings: Iterable[Finding]) -> dict[AccountKey, list[Finding]]:
    found: dict[AccountKey, list[Finding]] = {}
    for each in findings:
        if each.namespace is not None and each.account is not None:
            found.setdefault(AccountKey(each.namespace, each.account), []).append(each)
    return found


def _lasting(standing: Standing, before: Standing | None) -> Standing:
    """What has not changed is since when it was, and an approval of the very same plan stands."""
    if before is None or (before.outcome, before.digest) != (standing.outcome, standing.digest):
        return standing
    if standing.digest is None and before.report != standing.report:
        return standing
    return Standing(
        standing.key,
        standing.outcome,
        standing.report,
        before.since,
        standing.digest,
        before.commit,
        before.approval,
    )


def _is_void(before: Standing, after: Standing | None) -> bool:
    return before.approved and after is not None and after.digest != before.digest
