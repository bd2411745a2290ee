"""List who changed what, when and by which commit, the newest change first.

examples:
  sendroute history
  sendroute history shop.example.com
  sendroute history acme/ses --since 7d            the account or the profile of that name
  sendroute history --since 2026-11-01 -o csv
"""

import argparse
import re
from argparse import Namespace
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

from sendroute.cli.command_line import Parser, count
from sendroute.cli.lookup import accounts_named
from sendroute.cli.options import ROWS, output_option, outputs_of
from sendroute.cli.output import present
from sendroute.cli.session import Session
from sendroute.manifests.names import InvalidNameError, domain_name
from sendroute.model.change import Kind
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError
from sendroute.model.records import HistoryEntry
from sendroute.model.route import Route
from sendroute.model.times import rfc3339, to_minute
from sendroute.model.words import short_commit
from sendroute.reports import as_csv
from sendroute.reports.as_json import document
from sendroute.reports.table import Columns
from sendroute.reports.text import Console, clean, paragraph, wrap

if TYPE_CHECKING:
    from sendroute.store.record import Store

_NEWEST = 100


def options(parser: Parser) -> None:
    parser.add_argument(
        "subject",
        nargs="?",
        metavar="DOMAIN, ACCOUNT or PROFILE",
        help="only its changes; all changes if absent",
    )
    parser.value(
        "--since",
        metavar="TIME",
        type=since,
        help="only changes since a date, a time (UTC) or a duration: 2026-11-01, 7d, 12h",
    )
    parser.value(
        "--limit",
        metavar="N",
        type=count,
        help=f"show the newest N changes (default {_NEWEST}; all with --since)",
    )
    output_option(parser, ROWS)


_DURATION = re.compile(r"([0-9]{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def since(text: str) -> datetime:
    """A date, a time, or a duration before now. A time without a zone is in UTC, as it is shown."""
    try:
        if match := _DURATION.fullmatch(text):
            return datetime.now(UTC) - timedelta(**{_UNITS[match[2]]: int(match[1])})
        at = datetime.fromisoformat(text)
        return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(
            f"`{text}` is not a date, a time or a duration, such as 2026-11-01, 2026-11-01T08:30"
            " or 7d"
        ) from error


def run(arguments: Namespace, session: Session) -> int:
    outputs = outputs_of(arguments)
    newest = arguments.limit or (_NEWEST if arguments.since is None else None)
    with session.factory.open_store() as store:
        # One more, to know whether there are any.
        limits = {"since": arguments.since, "limit": newest and newest + 1}
        rows = _entries_of(store, arguments.subject, limits)
        entries = rows[:newest]
        is_cut = arguments.limit is None and len(rows) > len(entries)
        known = (
            None
            if entries or arguments.subject is None
            else _known(store, arguments.subject, limits)
        )

    def show(form: str, console: Console) -> Iterable[str]:
        if form == "csv":
            return as_csv.lines(_CSV_HEADS, map(_csv_row, entries))
        if form == "json":
            return document([("format_version", "1.0"), ("changes", map(_entry, entries))])
        if known is not None:
            return paragraph(known, console)
        return chain(_text(entries, console), _rest(console) if is_cut else ())

    return present(session, outputs, show)


def _entries_of(
    store: "Store", subject: str | None, limits: Mapping[str, Any]
) -> Sequence[HistoryEntry]:
    """The entries of a domain, an account or a profile. The names of accounts and profiles are
    labels, so a name with a dot is that of a domain."""
    if subject is None:
        return store.history(**limits)
    if "/" in subject:  # not looked up, so that the history of what was removed can be read
        namespace, name = subject.split("/", 1)
        account = AccountKey(namespace, name)
        return store.history(owner=account, profile=(namespace, name), **limits)
    if "." not in subject:
        known = store.accounts()
        if subject not in {key.name for key in known}:
            entries = store.history(profile=(None, subject), **limits)
            if entries or any(subject == name for _, name in _profile_names(store)):
                return entries
            known = sorted(store.removed_accounts_named(subject)) or known
        (key,) = accounts_named(
            [subject], known, lambda name: f"The store has no account and no profile `{name}`."
        )
        return store.history(owner=key, **limits)
    try:
        return store.history(domain=domain_name(subject), **limits)
    except InvalidNameError as error:
        if subject.isascii():
            return ()
        message = f"The domain {error.message}; the value is {subject!r}."
        raise ProblemError(finding("unknown-domain", message, hint=error.hint)) from error


def _profile_names(store: "Store") -> Iterator[tuple[str, str]]:
    """The namespace and the name of each profile."""
    for profile in store.profiles():
        yield profile.account.namespace, profile.name


def _known(store: "Store", subject: str, limits: Mapping[str, Any]) -> str | None:
    """What is known of an object without an entry; None if there is nothing to say. Raises
    ProblemError if neither the store nor its history has the object."""
    if not _is_held(store, subject):
        if limits["since"] is None or not _entries_of(store, subject, {"limit": 1}):
            raise ProblemError(_unknown(subject))
        return None
    created = store.created_from_lock()
    if created is None:
        return None
    return (
        f"No changes of {subject} since {to_minute(created.at)}: it came with the store, which"
        f" {created.actor} created then, at revision {created.revision}. {created.message} A lock"
        " file holds no history."
    )


def _is_held(store: "Store", subject: str) -> bool:
    """Whether the store has a domain, an account or a profile of that name now."""
    namespace, _, name = subject.rpartition("/")
    if not namespace and "." in subject:
        with suppress(InvalidNameError):
            subject = domain_name(subject)
        return bool(store.routes([subject]))
    accounts = ((key.namespace, key.name) for key in store.accounts())
    return any(
        held == name and namespace in ("", of_tenant)
        for of_tenant, held in (*accounts, *_profile_names(store))
    )


def _unknown(subject: str) -> Finding:
    if "/" in subject:
        message = f"Neither the store nor its history has an account or a profile `{subject}`."
        return finding("unknown-account", message, hint="Specify NAME or NAMESPACE/NAME.")
    hint = "`sendroute routes` lists the domains of the store."
    try:
        domain_name(subject)
    except InvalidNameError as error:
        hint = error.hint
    return finding(
        "unknown-domain", f"Neither the store nor its history has the domain {subject}.", hint=hint
    )


_CSV_HEADS = (
    "revision", "time", "actor", "commit", "namespace", "account", "kind", "name", "action",
    "from", "to", "reason", "message",
)  # fmt: skip


def _csv_row(entry: HistoryEntry) -> tuple[str, ...]:
    return (
        str(entry.revision),
        rfc3339(entry.at),
        entry.actor,
        entry.source_commit or "",
        entry.account.namespace if entry.account else "",
        entry.account.name if entry.account else "",
        entry.kind,
        entry.name,
        entry.action,
        *_from_and_to(entry),
        entry.reason,
        entry.message,
    )


def _from_and_to(entry: HistoryEntry) -> tuple[str, str]:
    """What changed: the brief states; for a profile, or if they are the same, also the other fields
    that differ. Nothing if no field differs: the message says what happened."""
    before, after = _brief(entry.kind, entry.before), _brief(entry.kind, entry.after)
    if entry.before is None or entry.after is None:
        return before, after
    if entry.before == entry.after:
        return "", ""
    if entry.kind == Kind.PLATFORM or (entry.kind != Kind.PROFILE and before != after):
        return before, after
    differing = [
        name
        for name in sorted(entry.before.keys() | entry.after.keys())
        if name not in _BRIEF and entry.before.get(name) != entry.after.get(name)
    ]
    pairs = [(entry.before, before), (entry.after, after)]
    old, new = (", ".join([brief, *_fields(state, differing)]) for state, brief in pairs)
    return old, new


_BRIEF = frozenset({"host", "port", "encryption", "route", "plan", "defaultRoute"})
_ABSENT = {"shadowed_by": "not shadowed"}


def _fields(state: Mapping[str, Any], names: Iterable[str]) -> Iterator[str]:
    for name in names:
        value = state.get(name)
        words = name.replace("_", " ")
        yield _ABSENT.get(name, f"no {words}") if value is None else f"{words} {_words(value)}"


def _words(value: object) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{name} {_words(item)}".strip() for name, item in value.items())
    if isinstance(value, list):
        return " ".join(map(_words, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _brief(kind: str, state: Mapping[str, Any] | None) -> str:
    """What of a state is worth a column: the route of a domain, the plan and the default route of
    an account, the destination of a profile. The JSON has all of it."""
    if state is None:
        return ""
    match kind:
        case Kind.DOMAIN:
            return _route(state.get("route"))
        case Kind.ACCOUNT:
            parts = str(state.get("plan") or ""), _route(state.get("defaultRoute"))
            return ", default ".join(filter(None, parts))
        case Kind.PROFILE:
            host, port, encryption = map(state.get, ("host", "port", "encryption"))
            return f"{host}:{port} {encryption}"
        case _:
            return ""


def _route(form: object) -> str:
    try:
        return "" if form is None else str(Route.from_manifest(form))
    except ValueError:
        return ""


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


def _text(entries: Sequence[HistoryEntry], console: Console) -> Iterable[str]:
    if not entries:
        yield "No changes.\n"
        return
    moved = _moved(entries)
    rows = [
        (
            str(entry.revision),
            to_minute(entry.at),
            entry.actor,
            short_commit(entry.source_commit or "-"),
            entry.action,
            _object(entry, moved),
            *_from_and_to(entry),
        )
        for entry in entries
    ]
    heads = ("REVISION", "TIME", "WHO", "COMMIT", "CHANGE", "OF", "FROM", "TO")
    columns = Columns(heads, optional=("FROM", "TO"))
    for row in rows:
        columns.fit(row)
    head, *lines = columns.lines(rows, console=console)
    yield head
    for line, entry in zip(lines, entries, strict=True):
        yield line
        message = wrap(clean(entry.message), 10, columns=console.columns)
        yield from (line + "\n" for line in message)


def _rest(console: Console) -> Iterable[str]:
    """That there are older changes, which are not shown."""
    text = f"Only the newest {_NEWEST} changes are shown; --limit N or --since TIME shows more."
    return ("\n", *paragraph(text, console))


def _moved(entries: Iterable[HistoryEntry]) -> frozenset[str]:
    """The domains of which entries of more than one account are shown."""
    first: dict[str, AccountKey | None] = {}
    return frozenset(
        entry.name
        for entry in entries
        if entry.kind == Kind.DOMAIN
        and first.setdefault(entry.name, entry.account) != entry.account
    )


def _object(entry: HistoryEntry, moved: Container[str]) -> str:
    """The kind and name. Accounts of several namespaces, and profiles of several accounts, may have
    the same name; a domain's name is unique, but a ``moved`` one was in several accounts."""
    if entry.account is None or (entry.kind == Kind.DOMAIN and entry.name not in moved):
        return f"{entry.kind} {entry.name}"
    if entry.kind == Kind.ACCOUNT:
        return f"{entry.kind} {entry.account}"
    return f"{entry.kind} {entry.name} of {entry.account}"
