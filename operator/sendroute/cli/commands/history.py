"""List who changed what, when and by which commit, the newest change first.

examples:
  sendroute history
  sendroute history shop.example.com
  sendroute history acme/acme --limit 20 -o json
"""

from argparse import Namespace
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sendroute.cli.command_line import Parser, count
from sendroute.cli.lookup import accounts_named
from sendroute.cli.options import TABLES, output_option, outputs_of
from sendroute.cli.output import present
from sendroute.cli.session import Session
from sendroute.manifests.names import InvalidNameError, domain_name
from sendroute.model.desired import AccountKey
from sendroute.model.records import HistoryEntry
from sendroute.model.times import rfc3339, to_minute
from sendroute.reports.as_json import document
from sendroute.reports.table import table
from sendroute.reports.text import clean, wrap

if TYPE_CHECKING:
    from sendroute.store.record import Store


def options(parser: Parser) -> None:
    parser.add_argument(
        "of", nargs="?", metavar="DOMAIN-or-ACCOUNT", help="only its changes; all changes if absent"
    )
    parser.value(
        "--limit",
        metavar="N",
        type=count,
        default=100,
        help="show the newest N changes (default 100)",
    )
    output_option(parser, TABLES)


def run(arguments: Namespace, session: Session) -> int:
    outputs = outputs_of(arguments)
    with session.factory.open_store() as store:
        entries = _entries_of(store, arguments.of, arguments.limit)

    def show(form: str, colour: bool) -> Iterable[str]:
        if form == "json":
            return document([("format_version", "1.0"), ("changes", map(_entry, entries))])
        return _text(entries, colour)

    return present(session, outputs, show)


def _entries_of(store: "Store", of: str | None, limit: int) -> Sequence[HistoryEntry]:
    """The entries of a domain or an account. The name of an account is a label, so a name with a
    dot is that of a domain."""
    if of is None:
        return store.history(limit=limit)
    if "/" in of:  # not looked up, so that the history of a deleted account can be read
        return store.history(owner=AccountKey(*of.split("/", 1)), limit=limit)
    if "." not in of:
        (account,) = accounts_named([of], store.accounts())
        return store.history(owner=account, limit=limit)
    try:
        return store.history(domain=domain_name(of), limit=limit)
    except InvalidNameError:
        return ()


def _entry(entry: HistoryEntry) -> dict[str, Any]:
    return {
        "revision": entry.revision,
        "time": rfc3339(entry.at),
        "actor": entry.actor,
        "commit": entry.source_commit,
        "namespace": entry.account.namespace if entry.account else None,
        "account": entry.account.name if entry.account else None,
        "kind": entry.kind,
        "name": entry.name,
        "action": entry.action,
        "before": entry.before,
        "after": entry.after,
        "reason": entry.reason,
        "message": entry.message,
    }


def _text(entries: Sequence[HistoryEntry], colour: bool) -> Iterable[str]:
    if not entries:
        yield "No changes.\n"
        return
    rows = [
        (
            str(entry.revision),
            to_minute(entry.at),
            entry.actor,
            (entry.source_commit or "-")[:12] + _dirty(entry),
            entry.action,
            f"{entry.kind} {entry.name}",
        )
        for entry in entries
    ]
    heads = ("REVISION", "TIME", "WHO", "COMMIT", "CHANGE", "OF")
    head, *lines = table(heads, rows, colour=colour)
    yield head
    for line, entry in zip(lines, entries, strict=True):
        yield line
        yield from (line + "\n" for line in wrap(clean(entry.message), 10))


def _dirty(entry: HistoryEntry) -> str:
    return "-dirty" if (entry.source_commit or "").endswith("-dirty") else ""
