"""Creates or restores a store from a file, and reports it."""

import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from sendroute.cli.options import Output
from sendroute.cli.output import present
from sendroute.cli.session import Session
from sendroute.model.change import Plan
from sendroute.model.finding import Finding
from sendroute.model.outcome import Result
from sendroute.model.provenance import Provenance
from sendroute.reconcile.restore import restore
from sendroute.reports.progress import progress
from sendroute.reports.text import clean
from sendroute.reports.words import holdings
from sendroute.runtime import stores
from sendroute.runtime.actor import actor
from sendroute.runtime.stores import NewStore, is_lock_file, saved_state
from sendroute.store.record import Store


def create_store(session: Session, *, lock: Path | None = None, backup: Path | None = None) -> int:
    """Create the store and report it. At most one of ``lock`` and ``backup`` is given."""
    provenance = Provenance(datetime.now(UTC), actor())
    with progress("Restoring", None, sys.stderr, quiet=session.terminal.quiet) as advance:
        created = stores.create_store(
            session.settings, provenance, lock=lock, backup=backup, advance=advance
        )
    if session.terminal.quiet:
        return 0
    status = created.status
    lines = [f"Created the store {created.location}, lineage {status.lineage}."]
    if lock is not None or backup is not None:
        content = holdings(status.accounts, status.profiles, status.domains)
        lines.append(f"It is at revision {status.revision}, with {content}.")
    lines.append(_key_line(created, sealed=backup is not None))
    return present(session, [Output("text", None)], lambda *_: _text(lines))


def create_from(session: Session, file: Path) -> int:
    """Create the store from a lock file or a backup, and report it."""
    if is_lock_file(file):
        return create_store(session, lock=file)
    return create_store(session, backup=file)


def restore_from(store: Store, file: Path, confirm: Callable[[Plan], Finding | None]) -> Result:
    """Restore the store to the state in a lock file or a backup. Raises ProblemError as
    :func:`~sendroute.runtime.stores.saved_state` and
    :func:`~sendroute.reconcile.restore.restore`."""
    provenance = Provenance(datetime.now(UTC), actor())
    return restore(store, saved_state(file), provenance, confirm)


def _text(lines: Iterable[str]) -> Iterable[str]:
    return (clean(line) + "\n" for line in lines)


def _key_line(created: NewStore, *, sealed: bool) -> str:
    key = created.key
    if created.created_key and sealed:
        return (
            f"Created the key {key}, which does not open the backup's credentials: add the old key"
            " below it, or the next apply saves them again from their secrets."
        )
    if created.created_key:
        return (
            f"Created the key {key}: keep a copy of it, separately from the store and its backups."
        )
    return f"It uses the key in {key}: keep it separately from the store and its backups."
