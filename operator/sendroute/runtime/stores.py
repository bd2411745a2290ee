"""Creates a store together with its key, and reads the state that a file holds."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from sendroute.credentials.key_file import create_key, key_path
from sendroute.credentials.keys import VARIABLE, keys_in, keys_of_file
from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError
from sendroute.model.provenance import Provenance
from sendroute.model.records import StoreStatus
from sendroute.model.remedy import Remedy, ReplaceEmptyStore
from sendroute.reconcile.restore import SavedState
from sendroute.runtime.factory import Factory
from sendroute.runtime.settings import Settings
from sendroute.store import lockfile
from sendroute.store.backups import damage_of_backup, open_backup, seems_lock_file
from sendroute.store.content import require_sound
from sendroute.store.create import Decrypts, init_store, require_no_store
from sendroute.store.record import Store


class NewStore(NamedTuple):
    """A store that was created. ``key`` is the file or the variable that its key is in;
    ``created_key``: the key was created too; ``has_undecryptable``: no given key decrypts
    the credentials that came from a backup."""

    location: str
    status: StoreStatus
    key: str
    created_key: bool
    has_undecryptable: bool


def create_store(
    settings: Settings,
    provenance: Provenance,
    *,
    lock: Path | None = None,
    backup: Path | None = None,
    advance: Callable[[int], None] = lambda _rows: None,
) -> NewStore:
    """Create the store, and its key unless one is given. If the store cannot be created, no new key
    is left behind. An existing store is reported before the key is looked at: its key belongs to
    it.

    Args:
        settings: the URL of the store, and the key file if one is given.
        provenance: who creates it, and when.
        lock: the lock file to create it from; None for none.
        backup: the backup to create it from; None for none. At most one of the two is given.
        advance: called with each number of copied rows.

    Returns:
        The store, which is closed, and where its key is.

    Raises:
        ProblemError: the given key is invalid or a new one cannot be written, or as for
            :func:`~sendroute.store.create.init_store`.
    """
    try:
        require_no_store(settings.store)
    except ProblemError as problem:
        if (file := lock or backup) is not None:
            _check_not_empty(settings, file, is_backup=lock is None)
        raise problem
    given = _given_key(settings.key_file)
    # Only the old key decrypts the credentials of a restored store, so it must exist.
    key = key_path(settings.store)
    restores = lock is not None or backup is not None
    creates_key = given is None and not (restores and key.exists())
    if creates_key:
        create_key(key)
    try:
        with init_store(
            settings.store,
            provenance,
            from_lock=lock,
            from_backup=backup,
            decrypts=_decrypts(settings) if backup is not None else None,
            advance=advance,
        ) as store:
            has_undecryptable = backup is not None and store.has_undecryptable()
            used = given or str(key)
            return NewStore(store.location, store.status(), used, creates_key, has_undecryptable)
    except BaseException:  # also if interrupted: no key without its store
        if creates_key:
            key.unlink(missing_ok=True)
        raise


def _check_not_empty(settings: Settings, file: Path, *, is_backup: bool) -> None:
    """Raises ProblemError if an empty store is where one is to be created from a file: how to
    replace it, or why the file cannot. What cannot be opened is no empty store, and a store is no
    copy of itself."""
    try:
        with Factory(settings).open_store() as store:
            location, is_empty = store.location, store.read(()).is_empty
    except ProblemError:
        return
    if not is_empty or _is_same(location, file):
        return
    hint = "Move the empty store away, and create the lost one from the file."
    remedy: Remedy | None = ReplaceEmptyStore(location, str(file), is_backup=is_backup)
    try:
        _require_usable(file, is_backup=is_backup)
    except ProblemError as problem:
        fault = problem.findings[0]
        hint, remedy = f"{fault.message} {fault.hint or ''}".rstrip(), fault.remedy
    raise ProblemError(
        finding(
            "store-exists",
            f"{location} already exists, and is an empty store. Creating a store never overwrites"
            " anything.",
            hint=hint,
            remedy=remedy,
        )
    )


def _require_usable(file: Path, *, is_backup: bool) -> None:
    """Raises ProblemError if no store can be created from a lock file or a backup."""
    if is_backup:
        with open_backup(file) as opened, damage_of_backup(file):
            require_sound(opened)
    else:
        lockfile.read(file)


def _is_same(location: str, file: Path) -> bool:
    try:
        return file.samefile(location)
    except OSError:  # one is no file
        return False


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


def _decrypts(settings: Settings) -> Decrypts:
    """Build the test of whether the given keys decrypt a credential."""
    cipher = Factory(settings).cipher()
    return lambda token, binding: cipher is not None and cipher.decrypt(token, binding) is not None


def saved_state(path: Path) -> SavedState:
    """Read a lock file or a backup.

    Args:
        path: the file.

    Returns:
        The state in it.

    Raises:
        ProblemError: the file cannot be read, or is neither.
    """
    if seems_lock_file(path):
        lock = lockfile.read(path)
        return SavedState(path, lock.current(), {}, lock.head, is_backup=False)
    with open_backup(path) as opened, damage_of_backup(path):
        require_sound(opened)
        backup = Store(opened)
        current, encrypted = backup.read_with_credentials()
        return SavedState(path, current, encrypted, backup.head(), is_backup=True)
