"""Create a store and its key: empty, or from a backup or a lock file."""

import os
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from sendroute.cli.output import Output, present
from sendroute.cli.session import Session
from sendroute.credentials.key_file import create_key, key_path
from sendroute.model.provenance import Provenance
from sendroute.model.records import Status
from sendroute.reports.progress import progress
from sendroute.reports.text import clean, counted
from sendroute.runtime.actor import actor
from sendroute.store.create import init_store


def make_store(session: Session, *, lock: Path | None = None, backup: Path | None = None) -> int:
    """Create the store and report it. At most one of ``lock`` and ``backup`` is given."""
    given = _given_key(session.settings.key_file)
    # Only the old key opens the credentials of a restored store, so it must exist.
    key = key_path(session.settings.store)
    old = lock is not None or backup is not None
    creates_key = given is None and not (old and key.exists())
    if creates_key:
        create_key(key)
    provenance = Provenance(datetime.now(UTC), actor())
    try:
        with (
            progress("Restoring", None, sys.stderr, quiet=session.terminal.quiet) as advance,
            init_store(
                session.settings.store,
                provenance,
                from_lock=lock,
                from_backup=backup,
                advance=advance,
            ) as store,
        ):
            status, location = store.status(), store.location
    except BaseException:
        if creates_key:
            key.unlink(missing_ok=True)
        raise
    if session.terminal.quiet:
        return 0
    lines = [f"Created the store {location}, lineage {status.lineage}."]
    if old:
        lines.append(f"It is at revision {status.revision}, with {holdings(status)}.")
    lines.append(_key_line(given, key, creates_key, backup is not None))
    return present(session, [Output("text", None)], lambda *_: _text(lines))


def holdings(status: Status) -> str:
    """``2 accounts, 1 profile and 60 domains``."""
    accounts, profiles = counted(status.accounts, "account"), counted(status.profiles, "profile")
    return f"{accounts}, {profiles} and {counted(status.domains, 'domain')}"


def _text(lines: Iterable[str]) -> Iterable[str]:
    return (clean(line) + "\n" for line in lines)


def _given_key(file: str | None) -> str | None:
    """The file or variable that the key comes from; None if no key was given. The key is checked,
    so that a mistake shows now and not when the first credential is stored."""
    from sendroute.credentials.keys import VARIABLE, keys_in, keys_of_file

    if file:
        keys_of_file(file)
        return file
    if os.environ.get(VARIABLE):
        keys_in(os.environ[VARIABLE], VARIABLE)
        return VARIABLE
    return None


def _key_line(given: str | None, key: Path, created: bool, sealed: bool) -> str:
    if created and sealed:
        return (
            f"Created the key {key}, which does not open the backup's credentials: add the old key"
            " below it, or the next apply saves them again from their secrets."
        )
    if created:
        return (
            f"Created the key {key}: keep a copy of it, separately from the store and its backups."
        )
    return f"It uses the key in {given or key}: keep it separately from the store and its backups."
