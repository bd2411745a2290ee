"""``apply``: confirm on a terminal, commit with a progress bar, write the lock file, wait."""

import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from sendroute.cli.command_line import stderr_line
from sendroute.cli.confirm import APPLY, confirm_plan
from sendroute.cli.lookup import store_of
from sendroute.cli.options import GuardOptions
from sendroute.cli.plan_source import (
    PlanOptions,
    is_saved_plan_file,
    plan_paths,
    plan_saved,
    reconciler_of,
)
from sendroute.cli.session import Session
from sendroute.delivery.rollout import UNSEEN, wait_for_relays
from sendroute.model.codes import Code, finding
from sendroute.model.finding import Finding
from sendroute.model.outcome import Result
from sendroute.model.problem import ProblemError
from sendroute.model.provenance import Provenance
from sendroute.planner.guards import Guards
from sendroute.reconcile.reconciler import Planned
from sendroute.reports.progress import progress
from sendroute.runtime.actor import actor
from sendroute.runtime.stop import Stop, stop_between_accounts
from sendroute.store.record import Store

_log = logging.getLogger(__name__)


class ApplyOptions(NamedTuple):
    """``wait`` is the maximum number of seconds to wait for relays; None to not wait. ``lock`` is
    the lock file to write; None for none."""

    approved: bool
    wait: float | None
    lock: str | None


def has_saved_plan(paths: Sequence[str]) -> bool:
    """Whether any of the paths is a saved plan."""
    return any(map(is_saved_plan_file, paths))


def apply_paths(
    session: Session,
    paths: Sequence[str],
    only: Sequence[str] | None,
    guards: Guards,
    options: ApplyOptions,
) -> tuple[Planned, Result, int]:
    """Plan manifests and apply the plan. Returns the plan, and what :func:`apply_planned` does.

    Raises:
        ProblemError: as for :func:`~sendroute.cli.plan_source.plan_paths`.
    """
    plan_options = PlanOptions(only, guards, options.lock, saves=True)
    with store_of(paths, session) as store:
        planned = plan_paths(store, session, paths, plan_options)
        return planned, *apply_planned(session, store, planned, options, paths)


def apply_saved(
    session: Session, path: str, limits: GuardOptions, options: ApplyOptions
) -> tuple[Planned, Result, int]:
    """Apply the saved plan in a file. Returns the plan, and what :func:`apply_planned` does.

    Raises:
        ProblemError: as for :func:`~sendroute.cli.plan_source.plan_saved`.
    """
    with session.factory.open_store() as store:
        planned = plan_saved(store, session, path, limits, options.lock)
        return planned, *apply_planned(session, store, planned, options)


def apply_planned(
    session: Session,
    store: Store,
    planned: Planned,
    options: ApplyOptions,
    paths: Sequence[str] = (),
) -> tuple[Result, int]:
    """Apply a plan of the manifests in ``paths``. Returns the result, and the exit status for the
    signal that stopped it; 0 if no signal did."""

    def confirm(planned: Planned) -> Finding | None:
        locate, approved = planned.tree.locate, options.approved
        return confirm_plan(
            session, APPLY, planned.plan, approved=approved, locate=locate, paths=paths
        )

    provenance = Provenance(datetime.now(UTC), actor(), planned.tree.commit)
    reconciler = reconciler_of(store, session, saves=True)
    planned, refused = reconciler.confirmed(planned, confirm)
    if refused is not None:
        return refused, 0
    accounts = sum(bool(account.changes) for account in planned.plan.accounts)
    with stop_between_accounts(_announce_stop) as stop:
        with progress("Applying", accounts, sys.stderr, quiet=session.terminal.quiet) as advance:
            applied = reconciler.commit(
                planned, provenance, should_stop=stop.is_set, advance=advance
            )
        result = _with_findings(applied.result, applied.unrecorded)
        result = _with_findings(result, _write_lock(store, options.lock))
        result = _with_stale_locks(result, planned, store)
        if options.wait is not None:
            result = _wait(store, result, options.wait, stop)
    return result, stop.status


def _announce_stop() -> None:
    stderr_line("Stopping after the current account. Press Ctrl-C again to stop at once.")


def _write_lock(store: Store, path: str | None) -> tuple[Finding, ...]:
    if path is None:
        return ()
    try:
        store.write_lock(Path(path))
    except ProblemError as problem:
        return problem.findings
    return ()


def _with_stale_locks(result: Result, planned: Planned, store: Store) -> Result:
    """Name the lock files that lack a change of the store now, and not as the plan did before."""
    if result.revision == result.plan.revision:
        return result  # nothing was committed, so what the plan said of them is still so
    try:
        stale = [
            item
            for item in planned.tree.mismatches(store.read(()), store)
            if item.code == Code.STALE_LOCK
        ]
    except ProblemError:
        return result  # the store is unavailable: what the plan said is the latest that is known
    others = tuple(item for item in result.plan.findings if item.code != Code.STALE_LOCK)
    return _with_findings(replace(result, plan=replace(result.plan, findings=others)), tuple(stale))


def _wait(store: Store, result: Result, timeout: float, stop: Stop) -> Result:
    try:
        waited = wait_for_relays(
            store.relays, result.revision, timeout=timeout, should_stop=stop.is_set
        )
    except ProblemError as problem:
        return _with_findings(result, problem.findings)
    if not waited.relays:
        _log.warning("No relay reads this store yet, so there is none to wait for.")
    behind = [
        f"Relay {name} does not serve revision {result.revision} yet." for name in waited.behind
    ]
    behind += [
        f"Relay {name} was not seen for {UNSEEN:.0f} seconds and is not waited for."
        for name in waited.unseen
    ]
    findings = tuple(finding("relay-behind", message) for message in behind)
    named = replace(result, relays_behind=(*waited.behind, *waited.unseen))
    return _with_findings(named, findings)


def _with_findings(result: Result, findings: tuple[Finding, ...]) -> Result:
    """Add each finding once: all steps that fail because the store is unavailable have the same
    one."""
    new = tuple(item for item in findings if item not in result.findings)
    return replace(result, findings=(*result.findings, *new))
