"""Copy the store into one file, while it is in use.

The file holds one consistent state, checked, with the history and the encrypted credentials. Only
you can read it. The key is not in it: keep a copy of the key separately. The file is a SQLite
file for every kind of store, so it can move a store to another database.

examples:
  sendroute backup sendroute-2026-11-23.db
  sendroute --store 'postgresql://db.example/mail?sslmode=verify-full' backup /srv/monday.db
  sendroute init --from-backup monday.db        if the store is lost
  sendroute restore monday.db                   restore that state
"""

import sys
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sendroute.cli.command_line import OUTPUT_FILE, Parser, stderr_line
from sendroute.cli.options import TABLES, output_option, outputs_of
from sendroute.cli.output import present
from sendroute.cli.session import Session
from sendroute.credentials.key_file import key_path
from sendroute.git.ignored_files import ignore_in_git
from sendroute.model.records import StoreStatus
from sendroute.reports.as_json import document
from sendroute.reports.progress import progress
from sendroute.reports.text import Console, clean, paragraph
from sendroute.reports.words import holdings


def options(parser: Parser) -> None:
    parser.add_argument(
        "file", metavar="FILE", type=OUTPUT_FILE, help="the file to write; it must not exist"
    )
    output_option(parser, TABLES)


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.store.backups import backup_store

    outputs = outputs_of(arguments)
    with progress("Backing up", None, sys.stderr, quiet=session.terminal.quiet) as advance:
        status = backup_store(session.settings.store, Path(arguments.file), advance=advance)

    # It holds encrypted credentials, and their key may lie beside it.
    backup = Path(arguments.file)
    ignored = list(ignore_in_git(backup, f"/{backup.name}", "the backup"))
    if session.terminal.quiet or all(output.form != "text" for output in outputs):
        for line in ignored:  # no file of the user is changed silently
            stderr_line(clean(line))

    def show(form: str, console: Console) -> Iterable[str]:
        if form == "json":
            return document(_document(arguments.file, status))
        if session.terminal.quiet:
            return []
        return _text(arguments.file, status, ignored, session, console)

    return present(session, outputs, show)


def _document(file: str, status: StoreStatus) -> Iterable[tuple[str, Any]]:
    yield "format_version", "1.0"
    yield "file", file
    yield "store", {"lineage": status.lineage, "revision": status.revision}
    yield "accounts", status.accounts
    yield "profiles", status.profiles
    yield "domains", status.domains


def _text(
    file: str, status: StoreStatus, ignored: Iterable[str], session: Session, console: Console
) -> Iterable[str]:
    yield clean(f"Wrote {file}: revision {status.revision} of {status.lineage},") + "\n"
    held = holdings(status.accounts, status.profiles, status.domains)
    yield from paragraph(f"{held}, with their history.", console)
    yield clean(f"The key is not in it: keep a copy of {_key(session)} separately.") + "\n"
    yield from (clean(line) + "\n" for line in ignored)


def _key(session: Session) -> str:
    """The key's file, if it is known: a backup needs no key, so none may be given."""
    given, usual = session.settings.key_file, key_path(session.settings.store)
    return given or (str(usual) if usual.exists() else "the key")
