"""Creates or restores a store from a file, and reports it."""

import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from sendroute.cli.command_line import stderr_line
from sendroute.cli.options import Output
from sendroute.cli.output import present
from sendroute.cli.session import Session
from sendroute.git.ignored_files import ignore_in_git
from sendroute.model.change import Plan
from sendroute.model.codes import Code
from sendroute.model.finding import Finding
from sendroute.model.outcome import Result
from sendroute.model.problem import ProblemError
from sendroute.model.provenance import Provenance
from sendroute.reconcile.restore import restore
from sendroute.reports.progress import progress
from sendroute.reports.text import clean
from sendroute.reports.words import holdings
from sendroute.runtime import stores
from sendroute.runtime.actor import actor
from sendroute.runtime.stores import NewStore, saved_state
from sendroute.store.backups import seems_lock_file
from sendroute.store.record import Store
from sendroute.store.url import is_postgres, sqlite_path


def create_store(session: Session, *, lock: Path | None = None, backup: Path | None = None) -> int:
    """Create the store and report it. At most one of ``lock`` and ``backup`` is given."""
    provenance = Provenance(datetime.now(UTC), actor())
    with progress("Restoring", None, sys.stderr, quiet=session.terminal.quiet) as advance:
        created = stores.create_store(
            session.settings, provenance, lock=lock, backup=backup, advance=advance
        )
    ignored = list(_ignored(session, created))
    if session.terminal.quiet:
        for line in ignored:  # no file of the user is changed silently
            stderr_line(clean(line))
        return 0
    status = created.status
    lines = [f"Created the store {created.location}, lineage {status.lineage}."]
    if lock is not None or backup is not None:
        content = holdings(status.accounts, status.profiles, status.domains)
        lines.append(f"It is at revision {status.revision}, with {content}.")
    lines += _key_lines(created)
    lines += ignored
    return present(session, [Output("text", None)], lambda *_: _text(lines))


def create_if_missing(session: Session, create: Callable[[], int]) -> int:
    """Create the store unless there is one, and report it. What is there must be a store that this
    program can use: a file of another program, or the log of a store that was lost, is reported as
    without the option."""
    try:
        return create()
    except ProblemError as problem:
        if problem.findings[0].code != Code.STORE_EXISTS:
            raise
        store = session.factory.store_if_exists()
        if store is None:
            raise
    with store:
        line = f"The store {store.location} exists. Nothing was changed."
    if session.terminal.quiet:
        return 0
    return present(session, [Output("text", None)], lambda *_: _text([line]))


def create_from(session: Session, file: Path) -> int:
    """Create the store from a lock file or a backup, and report it."""
    if seems_lock_file(file):
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


def _key_lines(created: NewStore) -> Iterator[str]:
    key = created.key
    if created.created_key:
        yield (
            f"Created the key {key}: keep a copy of it, separately from the store and its backups."
        )
    else:
        yield f"It uses the key in {key}: keep it separately from the store and its backups."
    if created.has_undecryptable:
        yield (
            "It does not decrypt the backup's credentials: the next apply encrypts them again from"
            " their secrets. If you find the old key, add it below the new one."
        )


def _ignored(session: Session, created: NewStore) -> Iterator[str]:
    """Make git ignore what was created, and say what was done: the key is a secret, and git would
    restore an older copy of a store with each checkout."""
    if created.created_key:
        key = Path(created.key)
        yield from ignore_in_git(key, f"/{key.name}", "the key")
    if not is_postgres(session.settings.store):
        store = sqlite_path(session.settings.store)
        yield from ignore_in_git(store, f"/{store.name}*", "the store")
