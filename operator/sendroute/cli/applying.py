"""What ``apply`` does with a plan: refuse, ask, commit, write the lock, wait."""

import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from sendroute.cli.actor import actor
from sendroute.cli.confirm import agreed, can_ask, declined, not_approved
from sendroute.cli.interrupt import Stop, stopping
from sendroute.cli.proof import tester_of
from sendroute.cli.reporting import show_on_stderr
from sendroute.cli.session import Session
from sendroute.cli.waiting import wait_for_relays
from sendroute.model.change import AccountPlan
from sendroute.model.finding import Finding
from sendroute.model.outcome import AccountOutcome, Outcome, Result
from sendroute.model.problem import ProblemError
from sendroute.model.provenance import Provenance
from sendroute.reconcile.assessment import assess
from sendroute.reconcile.commit import has_work, left_alone
from sendroute.reconcile.planned import Planned
from sendroute.reports.progress import progress
from sendroute.reports.report import of_plan
from sendroute.store.record import Store

_log = logging.getLogger(__name__)


class ApplyOptions(NamedTuple):
    """``wait`` is how many seconds to wait for relays at most, None for not at all; ``lock`` the
    lock file to write."""

    approved: bool
    wait: float | None
    lock: str | None


def apply_planned(
    session: Session, store: Store, planned: Planned, wishes: ApplyOptions
) -> tuple[Result, int]:
    """The result, and the exit status of a signal that ended it, 0 without one."""
    if planned.mismatch:
        return _refused(planned, ()), 0  # the plan tells them already
    if has_work(planned.plan) and not wishes.approved:
        if not can_ask():
            return _refused(planned, (not_approved(),)), 0
        show_on_stderr(session, of_plan(planned.plan, locate=planned.source.locate))
        if not agreed():
            return _refused(planned, (declined(),)), 0
    # Only now: before it is approved no credential is sent anywhere.
    planned = planned.tested_by(tester_of(session))
    with stopping() as stop:
        result = _commit(session, planned, stop)
        result = _add(result, _write_account_statuses(store, planned, result))
        result = _add(result, _write_lock(store, wishes.lock))
        if wishes.wait is not None:
            result = _wait(store, result, wishes.wait, stop)
    return result, stop.status if stop.signal else 0


def _commit(session: Session, planned: Planned, stop: Stop) -> Result:
    provenance = Provenance(datetime.now(UTC), actor(), planned.source.commit)
    accounts = sum(bool(account.changes) for account in planned.plan.accounts)
    with progress("Applying", accounts, sys.stderr, quiet=session.quiet) as advance:
        return planned.carry_out(provenance, ended=lambda: bool(stop.signal), advance=advance)


def _write_account_statuses(store: Store, planned: Planned, result: Result) -> tuple[Finding, ...]:
    """What is left unsettled, for ``status`` to say."""
    source = planned.source
    try:
        settled = assess(
            result,
            store.account_statuses(),
            planned.scope.only,
            datetime.now(UTC),
            source.commit,
            source.locate,
        )
        store.write_account_statuses(settled.written, settled.cleared)
    except ProblemError as problem:
        return problem.findings
    return ()


def _write_lock(store: Store, path: str | None) -> tuple[Finding, ...]:
    if path is None:
        return ()
    try:
        store.write_lock(Path(path))
    except ProblemError as problem:
        return problem.findings
    return ()


def _wait(store: Store, result: Result, timeout: float, stop: Stop) -> Result:
    try:
        waited = wait_for_relays(
            store.relays, result.revision, timeout=timeout, ended=lambda: bool(stop.signal)
        )
    except ProblemError as problem:
        return _add(result, problem.findings)
    if not waited.relays:
        _log.warning("No relay is registered: there is none to wait for.")
    for name in waited.unseen:
        _log.warning("Relay %s was not seen for 60 seconds, and is not waited for.", name)
    for name in waited.behind:
        _log.warning("Relay %s does not serve revision %d yet.", name, result.revision)
    return replace(result, relays_behind=(*waited.behind, *waited.unseen))


def _refused(planned: Planned, findings: tuple[Finding, ...]) -> Result:
    """Nothing is written: what would have been changed is refused."""
    plan = planned.plan
    return Result(
        plan,
        Outcome.REFUSED if plan.platform is not None else None,
        tuple(_left(account) for account in plan.accounts),
        plan.revision,
        findings,
    )


def _left(account: AccountPlan) -> AccountOutcome:
    if account.stopped or not account.changes:
        return left_alone(account)
    return AccountOutcome(account.key, Outcome.REFUSED, account.revision)


def _add(result: Result, findings: tuple[Finding, ...]) -> Result:
    """A store that went away is told of once, whatever failed by it."""
    new = tuple(found for found in findings if found not in result.findings)
    return replace(result, findings=(*result.findings, *new))
