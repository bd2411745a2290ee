"""Create the store, and its encryption key unless one is given.

An existing store is never overwritten. The key encrypts the credentials in the store: keep a copy
of it, separately from the store and its backups.

examples:
  sendroute init
  sendroute --store sqlite:////var/lib/sendroute/sendroute.db init
  sendroute --store 'postgresql://sendroute@db.example/sendroute?sslmode=verify-full' init
  sendroute init --key-file /run/secrets/sendroute.key
  sendroute init --from-backup backup.db                    if the store is lost
  sendroute init --from-lock manifests/sendroute.lock       the same, without a backup
  sendroute init --if-missing                               for a script that runs at each start
"""

from argparse import Namespace
from functools import partial
from pathlib import Path

from sendroute.cli.command_line import INPUT_FILE, Parser, UsageError
from sendroute.cli.session import Session


def options(parser: Parser) -> None:
    parser.value(
        "--from-lock",
        metavar="FILE",
        type=INPUT_FILE,
        help="restore the state of a lock file of `apply --write-lock`",
    )
    parser.value(
        "--from-backup", metavar="FILE", type=INPUT_FILE, help="restore a file of `backup`"
    )
    parser.switch("--if-missing", help="change nothing and succeed if the store exists already")


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.stores import create_if_missing

    if arguments.if_missing:
        return create_if_missing(session, partial(_create, arguments, session))
    return _create(arguments, session)


def _create(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.stores import create_store

    # An empty name, of a variable that was not set say, is none of an empty store.
    if arguments.from_lock is not None and arguments.from_backup is not None:
        raise UsageError(
            "Use only one of --from-backup and --from-lock. If the lock file is newer than the"
            " backup, use --from-backup, and then `sendroute restore` with the lock file."
        )
    if arguments.from_lock is not None:
        return create_store(session, lock=Path(arguments.from_lock))
    if arguments.from_backup is not None:
        return create_store(session, backup=Path(arguments.from_backup))
    return create_store(session)
