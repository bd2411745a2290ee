"""What ``restore`` does with a store that is there: compare, ask, go back in one change."""

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from sendroute.cli.actor import actor
from sendroute.cli.confirm import agreed, can_ask, declined
from sendroute.cli.reporting import show_on_stderr
from sendroute.cli.session import Session
from sendroute.model.codes import finding
from sendroute.model.current import Current
from sendroute.model.finding import Finding
from sendroute.model.outcome import AccountOutcome, Outcome, Result
from sendroute.model.problem import ProblemError
from sendroute.model.provenance import Provenance
from sendroute.planner.restore import Restoration, plan_restore
from sendroute.reconcile.record import Sealed
from sendroute.reconcile.restore import credentials_back
from sendroute.reports.report import of_plan
from sendroute.store import lockfile
from sendroute.store.backups import open_backup
from sendroute.store.restore import Head, Past
from sendroute.store.record import Store, open_store


class Earlier(NamedTuple):
    """A state of the past; ``sealed`` are its credentials, none from a lock file."""

    source: Path
    current: Current
    sealed: Sealed
    head: Head


def store_if_there(url: str) -> Store | None:
    try:
        return open_store(url)
    except ProblemError as problem:
        if any(found.code == "not-initialised" for found in problem.findings):
            return None
        raise


def is_lock_file(path: Path) -> bool:
    """JSON; what else is wrong with it is told when it is read."""
    try:
        if not path.is_file():  # a pipe would be waited for
            return False
        with path.open("rb") as file:
            return file.read(64).lstrip().startswith(b"{")
    except OSError:
        return False  # told of as a backup


def earlier_state(path: Path) -> Earlier:
    if is_lock_file(path):
        lock = lockfile.read(path)
        return Earlier(path, lock.current(), {}, lock.head)
    with open_backup(path) as opened:
        backup = Store(opened)
        current, sealed = backup.read_sealed()
        return Earlier(path, current, sealed, backup.head())


def go_back(session: Session, store: Store, then: Earlier, *, approved: bool) -> Result:
    """Raises :class:`ProblemError`, ``wrong-store``, for the state of another store."""
    now = store.read()
    if now.lineage != then.current.lineage:
        raise ProblemError(_another(now, then))
    back = plan_restore(now, then.current)
    if back.is_empty and store.knows(then.head):
        return _ended(back, Outcome.UNCHANGED, (), now.revision)
    if not approved:
        if not can_ask():
            return _ended(back, Outcome.REFUSED, (_not_approved(),), now.revision)
        show_on_stderr(session, of_plan(back.plan))
        if not agreed("restore"):
            return _ended(back, Outcome.REFUSED, (declined("restored"),), now.revision)
    revision = store.commit(
        back.plan.accounts,
        back.plan.platform,
        Provenance(datetime.now(UTC), actor()),
        credentials_back(back.plan, then.sealed),
        Past(then.head, then.source.name, back.ran, now.revision),
    )
    return _ended(back, Outcome.COMMITTED, (), revision)


def _ended(
    back: Restoration, outcome: Outcome, findings: tuple[Finding, ...], revision: int
) -> Result:
    committed = outcome is Outcome.COMMITTED
    return Result(
        back.plan,
        outcome if back.plan.platform is not None else None,
        tuple(
            AccountOutcome(account.key, outcome, revision if committed else account.revision)
            for account in back.plan.accounts
        ),
        revision,
        findings,
    )


def _not_approved() -> Finding:
    return finding(
        "not-approved",
        "Nothing was restored: nobody is at a terminal to approve it.",
        hint="Look at what it would change, then restore with --auto-approve.",
    )


def _another(now: Current, then: Earlier) -> Finding:
    return finding(
        "wrong-store",
        f"{then.source} is of the store {then.current.lineage}, and this one is {now.lineage}.",
        hint="Name that store with --store; or a place where there is none yet, and it is made.",
    )
