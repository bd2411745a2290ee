"""Make the store, and its encryption key unless one is given.

A store is made once and never over another one. The key encrypts the credentials in the store:
keep a copy of it, apart from the store and from its backups.

examples:
  sendroute init
  sendroute --store sqlite:////var/lib/sendroute/store.db init
  sendroute init --key-file /run/secrets/sendroute.key
  sendroute init --from-lock manifests/sendroute.lock       after a store was lost
"""

import os
from argparse import Namespace
from pathlib import Path

from sendroute.cli.command_line import Parser, WrongUsageError
from sendroute.cli.session import Session


def options(parser: Parser) -> None:
    parser.value("--from-lock", metavar="FILE", help="as it was when this lock file was written")
    parser.value("--from-backup", metavar="FILE", help="from what `sendroute backup` wrote")
    parser.value("--key-file", metavar="FILE", help="an encryption key that exists")


def run(arguments: Namespace, session: Session) -> int:
    from datetime import UTC, datetime

    from sendroute.cli.actor import actor
    from sendroute.cli.key_file import make_key, place_of_key
    from sendroute.model.stamp import Stamp
    from sendroute.store.creating import init_store

    if arguments.from_lock and arguments.from_backup:
        raise WrongUsageError("A store is made --from-lock or --from-backup, not from both.")
    given = _given_key(arguments.key_file)
    # A restored store's credentials can be read with the old key alone; it has to be there.
    key = place_of_key(session.store)
    makes_key = given is None and not (_is_old(arguments) and key.exists())
    if makes_key:
        make_key(key)
    try:
        with init_store(
            session.store,
            Stamp(datetime.now(UTC), actor()),
            from_lock=_path(arguments.from_lock),
            from_backup=_path(arguments.from_backup),
        ) as store:
            status = store.status()
    except BaseException:
        if makes_key:
            key.unlink(missing_ok=True)
        raise
    if not session.quiet:
        print(f"Made the store {store.place}, lineage {status.lineage}.")
        print(_told(given, key, makes_key))
    return 0


def _is_old(arguments: Namespace) -> bool:
    return bool(arguments.from_lock or arguments.from_backup)


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _given_key(file: str | None) -> str | None:
    """What the key was given by, None where none was; checked, so that a mistake shows now and
    not when the first credential is stored."""
    from sendroute.cli.key_file import VARIABLE, check_key
    from sendroute.model.codes import finding
    from sendroute.model.problem import ProblemError

    if file:
        try:
            check_key(Path(file).read_text(), file)
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ProblemError(
                finding(
                    "unreadable",
                    f"The key file {file} cannot be read: {(why or 'it failed').lower()}.",
                    hint="Name a file that holds a key, or leave --key-file out to make one.",
                )
            ) from error
        return file
    if os.environ.get(VARIABLE):
        check_key(os.environ[VARIABLE], VARIABLE)
        return VARIABLE
    return None


def _told(given: str | None, key: Path, made: bool) -> str:
    if made:
        return f"Made the key {key}: keep a copy of it, apart from the store and its backups."
    return f"It uses the key of {given or key}: keep that apart from the store and its backups."
