"""A store made with its key: new, or as it was when a backup or a lock file was written."""

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
    """Makes it and says so. At most one of the two is given."""
    given = _given_key(session.settings.key_file)
    # A restored store's credentials can be read with the old key alone; it has to be there.
    key = key_path(session.settings.store)
    old = lock is not None or backup is not None
    makes_key = given is None and not (old and key.exists())
    if makes_key:
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
        if makes_key:
            key.unlink(missing_ok=True)
        raise
    if session.terminal.quiet:
        return 0
    lines = [f"Made the store {location}, lineage {status.lineage}."]
    if old:
        lines.append(f"It is at revision {status.revision}, with {holdings(status)}.")
    lines.append(_told(given, key, makes_key, backup is not None))
    return present(session, [Output("text", None)], lambda *_: _text(lines))


def holdings(status: Status) -> str:
    """``2 accounts, 1 profile and 60 domains``."""
    accounts, profiles = counted(status.accounts, "account"), counted(status.profiles, "profile")
    return f"{accounts}, {profiles} and {counted(status.domains, 'domain')}"


def _text(lines: Iterable[str]) -> Iterable[str]:
    return (clean(line) + "\n" for line in lines)


def _given_key(file: str | None) -> str | None:
    """What the key was given by, None where none was; checked, so that a mistake shows now and
    not when the first credential is stored."""
    from sendroute.credentials.keys import VARIABLE, keys_in, keys_of_file

    if file:
        keys_of_file(file)
        return file
    if os.environ.get(VARIABLE):
        keys_in(os.environ[VARIABLE], VARIABLE)
        return VARIABLE
    return None


def _told(given: str | None, key: Path, made: bool, sealed: bool) -> str:
    if made and sealed:
        return (
            f"Made the key {key}, which does not open the backup's credentials: put the old key"
            " below it, or they are saved anew from their secrets."
        )
    if made:
        return f"Made the key {key}: keep a copy of it, apart from the store and its backups."
    return f"It uses the key of {given or key}: keep that apart from the store and its backups."
