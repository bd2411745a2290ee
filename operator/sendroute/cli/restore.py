"""Restores a store that exists: plan the way back, confirm it, commit it as one change."""

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from sendroute.cli.confirm import agreed, can_ask, declined
from sendroute.cli.reporting import show_on_stderr
from sendroute.cli.session import Session
from sendroute.model.codes import finding
from sendroute.model.current import Current
from sendroute.model.finding import Finding
from sendroute.model.outcome import AccountOutcome, Outcome, Result
from sendroute.model.problem import ProblemError
from sendroute.model.provenance import Head, Provenance
from sendroute.planner.restore import RestorePlan, plan_restore
from sendroute.reconcile.record import Sealed
from sendroute.reconcile.restore import credentials_to_restore
from sendroute.reports.report import of_plan
from sendroute.runtime.actor import actor
from sendroute.store import lockfile
from sendroute.store.backups import open_backup
from sendroute.store.record import Store, open_store
from sendroute.store.restore import RestorePoint


class SavedState(NamedTuple):
    """A state of the store as a file holds it. ``sealed`` are its credentials: none if the file is
    a lock file."""

    source: Path
    current: Current
    sealed: Sealed
    head: Head


def store_if_exists(url: str) -> Store | None:
    """The store at ``url``; None if there is none. Raises as ``open_store`` does."""
    try:
        return open_store(url)
    except ProblemError as problem:
        if any(found.code == "not-initialised" for found in problem.findings):
            return None
        raise


def is_lock_file(path: Path) -> bool:
    """Whether it looks like JSON; every other error is reported when the file is read."""
    try:
        if not path.is_file():  # reading a pipe would wait
            return False
        with path.open("rb") as file:
            return file.read(64).lstrip().startswith(b"{")
    except OSError:
        return False  # reported when it is opened as a backup


def saved_state(path: Path) -> SavedState:
    """Read a lock file or a backup. Raises :class:`ProblemError` if it is neither."""
    if is_lock_file(path):
        lock = lockfile.read(path)
        return SavedState(path, lock.current(), {}, lock.head)
    with open_backup(path) as opened:
        backup = Store(opened)
        current, sealed = backup.read_sealed()
        return SavedState(path, current, sealed, backup.head())


def restore(session: Session, store: Store, saved: SavedState, *, approved: bool) -> Result:
    """Return the store to a saved state, after a confirmation unless it is ``approved``.

    Raises :class:`ProblemError`, ``wrong-store``, if the state is that of another store.
    """
    now = store.read()
    if now.lineage != saved.current.lineage:
        raise ProblemError(_wrong_store(now, saved))
    planned = plan_restore(now, saved.current)
    if planned.is_empty and store.contains(saved.head):
        return _result(planned, Outcome.UNCHANGED, (), now.revision)
    if not approved:
        if not can_ask():
            return _result(planned, Outcome.REFUSED, (_not_approved(),), now.revision)
        show_on_stderr(session, of_plan(planned.plan))
        if not agreed("restore"):
            return _result(planned, Outcome.REFUSED, (declined("restored"),), now.revision)
    revision = store.restore(
        planned.plan.accounts,
        planned.plan.platform,
        RestorePoint(saved.head, saved.source.name, planned.apply_alls, now.revision),
        Provenance(datetime.now(UTC), actor()),
        credentials_to_restore(planned.plan, saved.sealed),
    )
    return _result(planned, Outcome.COMMITTED, (), revision)


def _result(
    planned: RestorePlan, outcome: Outcome, findings: tuple[Finding, ...], revision: int
) -> Result:
    committed = outcome is Outcome.COMMITTED
    return Result(
        planned.plan,
        outcome if planned.plan.platform is not None else None,
        tuple(
            AccountOutcome(account.key, outcome, revision if committed else account.revision)
            for account in planned.plan.accounts
        ),
        revision,
        findings,
    )


def _not_approved() -> Finding:
    return finding(
        "not-approved",
        "Nothing was restored: there is no terminal to confirm it on.",
        hint="Review what it would change, then restore with --auto-approve.",
    )


def _wrong_store(now: Current, saved: SavedState) -> Finding:
    return finding(
        "wrong-store",
        f"{saved.source} belongs to the store {saved.current.lineage}, and this one is"
        f" {now.lineage}.",
        hint="Specify that store with --store. If there is none at the URL yet, it is created.",
    )
