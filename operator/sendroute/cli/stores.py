"""Create a store and its key, empty or from a file; and read the saved state in a file."""

import os
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from sendroute.cli.command_line import stderr_line
from sendroute.cli.options import Output
from sendroute.cli.output import present
from sendroute.cli.session import Session
from sendroute.credentials.key_file import create_key, key_path
from sendroute.credentials.keys import VARIABLE, keys_in, keys_of_file
from sendroute.model.codes import Code
from sendroute.model.problem import ProblemError
from sendroute.model.provenance import Provenance
from sendroute.reconcile.restore import SavedState
from sendroute.reports.progress import progress
from sendroute.reports.text import clean
from sendroute.reports.words import holdings
from sendroute.runtime.actor import actor
from sendroute.runtime.factory import Factory
from sendroute.store import lockfile
from sendroute.store.backups import open_backup
from sendroute.store.create import Opens, init_store, require_no_store
from sendroute.store.record import Store, open_store


def create_store(session: Session, *, lock: Path | None = None, backup: Path | None = None) -> int:
    """Create the store and report it. At most one of ``lock`` and ``backup`` is given.

    An existing store is reported before the key is looked at: its key belongs to it.
    """
    require_no_store(session.settings.store)
    given = _given_key(session.settings.key_file)
    # Only the old key decrypts the credentials of a restored store, so it must exist.
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
                opens=_opens(session) if backup is not None else None,
                advance=advance,
            ) as store,
        ):
            status, location = store.status(), store.location
            is_keyless = backup is not None and store.is_keyless()
    except BaseException:
        if creates_key:
            key.unlink(missing_ok=True)
        raise
    ignored = _ignore_in_git(key) if creates_key else None
    if session.terminal.quiet:
        if ignored is not None:  # no file of the user is changed silently
            stderr_line(clean(ignored))
        return 0
    lines = [f"Created the store {location}, lineage {status.lineage}."]
    if old:
        content = holdings(status.accounts, status.profiles, status.domains)
        lines.append(f"It is at revision {status.revision}, with {content}.")
    lines += _key_lines(given, key, created=creates_key, lost=is_keyless)
    if ignored is not None:
        lines.append(ignored)
    return present(session, [Output("text", None)], lambda *_: _text(lines))


def create_from(session: Session, file: Path) -> int:
    """Create the store from a lock file or a backup, and report it."""
    if is_lock_file(file):
        return create_store(session, lock=file)
    return create_store(session, backup=file)


def store_if_exists(url: str) -> Store | None:
    """The store at ``url``; None if there is none. Raises as ``open_store`` does."""
    try:
        return open_store(url)
    except ProblemError as problem:
        if any(finding.code == Code.NOT_INITIALISED for finding in problem.findings):
            return None
        raise


def is_lock_file(path: Path) -> bool:
    """Whether a file begins like JSON. Errors are reported when the file is read."""
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


def _text(lines: Iterable[str]) -> Iterable[str]:
    return (clean(line) + "\n" for line in lines)


def _given_key(file: str | None) -> str | None:
    """The file or variable that the key comes from; None if no key was given. The key is checked,
    so that a mistake shows now and not when the first credential is stored."""
    if file:
        keys_of_file(file)
        return file
    if os.environ.get(VARIABLE):
        keys_in(os.environ[VARIABLE], VARIABLE)
        return VARIABLE
    return None


def _opens(session: Session) -> Opens:
    """Whether the given keys open a credential."""
    sealer = Factory(session.settings).sealer()
    return lambda token, binding: sealer is not None and sealer.open(token, binding) is not None


def _key_lines(given: str | None, key: Path, *, created: bool, lost: bool) -> Iterator[str]:
    if created:
        yield (
            f"Created the key {key}: keep a copy of it, separately from the store and its backups."
        )
    else:
        used = given or key
        yield f"It uses the key in {used}: keep it separately from the store and its backups."
    if lost:
        yield (
            "It does not open the backup's credentials: the next apply encrypts them again from"
            " their secrets. If you find the old key, add it below the new one."
        )


def _ignore_in_git(key: Path) -> str | None:
    """Make git ignore a new key. Returns what was done; None if the key is in no working tree, or
    is ignored already.

    The key goes into the `.gitignore` beside it (https://git-scm.com/docs/gitignore).
    """
    directory = key.resolve().parent
    if not any((above / ".git").exists() for above in (directory, *directory.parents)):
        return None
    file = directory / ".gitignore"
    advice = f"{key} is in a git working tree: never commit it. Add /{key.name} to {file}."
    try:
        text = file.read_text("utf-8") if os.path.lexists(file) else ""
        if not {key.name, f"/{key.name}", f"*{key.suffix}"}.isdisjoint(text.splitlines()):
            return None
        if file.is_symlink():  # git does not follow it, and neither does Sendroute
            return advice
        gap = "\n" if text and not text.endswith("\n") else ""
        with file.open("a", encoding="utf-8") as stream:
            stream.write(f"{gap}/{key.name}\n")
    except (OSError, UnicodeDecodeError):
        return advice
    return f"Added /{key.name} to {file}, so that git does not commit the key."
