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


def run(arguments: Namespace, session: Session) -> int:
    from datetime import UTC, datetime

    from sendroute.cli.actor import actor
    from sendroute.cli.key_file import make_key, place_of_key
    from sendroute.cli.output import Output, present
    from sendroute.model.stamp import Stamp
    from sendroute.reports.text import clean
    from sendroute.store.creating import init_store

    if arguments.from_lock and arguments.from_backup:
        raise WrongUsageError("A store is made --from-lock or --from-backup, not from both.")
    given = _given_key(session.key_file)
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
    lines = (
        f"Made the store {store.place}, lineage {status.lineage}.",
        _told(given, key, makes_key),
    )
    if session.quiet:
        return 0
    return present(session, [Output("text", None)], lambda *_: (clean(x) + "\n" for x in lines))


def _is_old(arguments: Namespace) -> bool:
    return bool(arguments.from_lock or arguments.from_backup)


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


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


def _told(given: str | None, key: Path, made: bool) -> str:
    if made:
        return f"Made the key {key}: keep a copy of it, apart from the store and its backups."
    return f"It uses the key of {given or key}: keep that apart from the store and its backups."
