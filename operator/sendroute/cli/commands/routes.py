"""List the assigned routes of domains, with origin and time.

examples:
  sendroute routes
  sendroute routes shop.example.com mail.example.com
  sendroute routes '*.example.com' --origin apply-all
  sendroute routes --account acme/acme --profile ses -o csv
  sendroute routes 'bü*'

A pattern has * for any characters, dots too, and ? for one. One with other characters than ASCII
is compared with the names as they are written, others with their xn-- form.
"""

import fnmatch
import re
from argparse import ArgumentTypeError, Namespace
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from itertools import chain, filterfalse, islice
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from sendroute.cli.command_line import Parser, one_of
from sendroute.cli.exit_status import of_findings
from sendroute.cli.lookup import accounts_named, not_stored, profiles_named
from sendroute.cli.options import ROWS, output_option, outputs_of
from sendroute.cli.output import present, report_on_stderr, worst
from sendroute.cli.session import Session
from sendroute.manifests.names import (
    InvalidNameError,
    domain_name,
    every_u_label,
    typed_pattern,
)
from sendroute.model.codes import finding
from sendroute.model.current import DomainState
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding
from sendroute.model.manifest_form import service_form
from sendroute.model.platform import Managed
from sendroute.model.records import RouteFilter, RouteGroup, RouteRow, RouteStream
from sendroute.model.route import MANAGED, Origin
from sendroute.model.spelling import suggestions
from sendroute.model.times import rfc3339, to_minute
from sendroute.reports import as_csv
from sendroute.reports.as_json import document
from sendroute.reports.table import Columns
from sendroute.reports.text import Console

if TYPE_CHECKING:
    from sendroute.store.record import Store

# Of the patterns of a shell, which this command does not know.
_OTHER_WILDCARDS = frozenset("[]{}")
_LONGEST = 1_000
_INTERNATIONAL = "*xn--*"
_COMPARED = 20_000
"""Domains that a name is compared with to find the one that was meant."""


def options(parser: Parser) -> None:
    parser.add_argument(
        "domains", nargs="*", metavar="DOMAIN", type=_name, help="only these domains, or patterns"
    )
    parser.value(
        "--account", metavar="ACCOUNT", help="only of this account, NAME or NAMESPACE/NAME"
    )
    parser.value(
        "--profile", metavar="PROFILE", help="only through this profile, NAME or NAMESPACE/NAME"
    )
    parser.value(
        "--origin",
        metavar="ORIGIN",
        type=one_of(*Origin),
        help="only with this origin: declared, default, apply-all or reassigned",
    )
    output_option(parser, ROWS)


def _name(text: str) -> str:
    """A domain or a pattern. A database has limits on the length of a pattern."""
    if len(text) > _LONGEST:
        raise ArgumentTypeError(f"a domain has at most 253 characters, and this has {len(text)}")
    return text


def run(arguments: Namespace, session: Session) -> int:
    outputs = outputs_of(arguments)
    names = [_normalised(name) for name in arguments.domains]
    with session.factory.open_store() as store:
        account = None
        if arguments.account:
            (account,) = accounts_named([arguments.account], store.accounts(), not_stored)
        namespace, profile = None, None
        if arguments.profile:
            namespace, profile = _profile_named(store, arguments.profile, account)
        platform = store.explain_facts("").platform
        service = platform.managed if platform is not None else None
        origin = Origin(arguments.origin) if arguments.origin else None
        matching = {name: _matching(store, name) for name in names if not name.isascii()}
        chosen = RouteFilter(
            account,
            profile,
            origin,
            tuple(chain(filterfalse(_is_pattern, names), *matching.values())),
            tuple(filter(_is_pattern, names)),
            namespace,
        )
        with store.route_stream(chosen) as stream:
            written = present(session, outputs, partial(_show, stream, service))
            is_narrowed = any((arguments.account, arguments.profile, arguments.origin))
            unknown = _unknown_names(names, matching, stream.rows, is_narrowed=is_narrowed)
        findings = _with_near_names(unknown, store)
    report_on_stderr(session, findings)
    return worst(of_findings(findings), written)


def _profile_named(store: "Store", text: str, account: AccountKey | None) -> tuple[str, str]:
    """The namespace and the name of a profile, as NAME or NAMESPACE/NAME. Raises ProblemError
    (``unknown-profile``) if no account, or not this one, has it, or tenants share the name."""
    profiles = [
        profile for profile in store.profiles() if account is None or profile.account == account
    ]
    owner = "The store" if account is None else f"Account {account}"
    profile = profiles_named([text], profiles, owner)[0]
    return profile.account.namespace, profile.name


def _show(
    stream: RouteStream, service: Managed | None, form: str, console: Console
) -> Iterable[str]:
    if form == "csv":
        return as_csv.lines(_CSV_HEADS, map(_csv_row, stream.rows))
    if form == "json":
        entries = map(_Entries(service).entry, stream.rows)
        return document([("format_version", "1.0"), ("domains", entries)])
    return _text(stream, console)


def _is_pattern(name: str) -> bool:
    return "*" in name or "?" in name


def _normalised(name: str) -> str:
    """A domain in the form of the store; of a pattern each label without a wildcard."""
    if _is_pattern(name):
        return ".".join(map(_label, name.lower().split(".")))
    try:
        return domain_name(name)
    except InvalidNameError:
        return name


def _label(label: str) -> str:
    if label.isascii() or _is_pattern(label):
        return label
    try:
        return domain_name(f"{label}.example").removesuffix(".example")
    except InvalidNameError:
        return label


def _matching(store: "Store", name: str) -> frozenset[str]:
    """The domains in the store, as A-labels, that match a pattern of which a label has a wildcard
    and other characters than ASCII: such a label has no A-label form."""
    if not _is_pattern(name):
        return frozenset()
    pattern = _compiled(typed_pattern(name))
    with store.route_stream(RouteFilter(patterns=(_INTERNATIONAL,))) as stream:
        return frozenset(
            row.domain for row in stream.rows if pattern.match(every_u_label(row.domain))
        )


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")))


def _unknown_names(
    names: Sequence[str],
    matching: Mapping[str, Container[str]],
    rows: Iterable[RouteRow],
    *,
    is_narrowed: bool,
) -> dict[str, Finding]:
    """A finding for each requested domain or pattern that no row matches. ``matching``: the domains
    that match a pattern which is no pattern of A-labels. ``is_narrowed``: options exclude rows."""
    missing = {name: _compiled(name) for name in names}
    known: set[str] = set()
    for row in rows if names else ():
        matched = [
            name
            for name, pattern in missing.items()
            if pattern.match(row.domain) or row.domain in matching.get(name, ())
        ]
        known.update(matched)
        for name in matched:
            del missing[name]
        if not missing:
            break
    return {
        name: finding("unknown-domain", _no_match(name, is_narrowed), hint=_hint(name))
        for name in names
        if name not in known
    }


def _with_near_names(unknown: Mapping[str, Finding], store: "Store") -> list[Finding]:
    """The findings; those of a domain that is nearly one of the store ask whether that was meant.
    A large store is not compared."""
    names = [name for name in unknown if not _is_pattern(name)]
    near: Mapping[str, str] = {}
    if names:
        with store.route_stream(RouteFilter()) as stream:
            known = [row.domain for row in islice(stream.rows, _COMPARED)]
        near = suggestions(names, known) if len(known) < _COMPARED else {}
    return [
        replace(item, hint=f"{near[name]} {item.hint}") if name in near else item
        for name, item in unknown.items()
    ]


def _no_match(name: str, is_narrowed: bool) -> str:
    if _is_pattern(name):
        return f"No domain matches {name}{' and the other options' if is_narrowed else ''}."
    other = ", or it does not match the options" if is_narrowed else ""
    return f"No account has the domain {name}{other}."


def _hint(name: str) -> str:
    """How the domain is written, if it is typed in a form that no manifest can have."""
    if not _OTHER_WILDCARDS.isdisjoint(name):
        return "A pattern has * for any characters and ? for one; brackets have no meaning in it."
    if _is_pattern(name):
        return "`sendroute routes` lists all domains."
    try:
        domain_name(name)
    except InvalidNameError as error:
        return error.hint
    return "`sendroute routes` lists all domains. Mail from an unknown domain is refused."


class _Entries:
    """Converts rows to JSON. A million domains share a few states, so each state is converted
    once."""

    def __init__(self, service: Managed | None) -> None:
        self._service = service_form(service) if service is not None else None
        self._states: dict[DomainState, dict[str, Any]] = {}

    def entry(self, row: RouteRow) -> dict[str, Any]:
        state = row.state
        form = self._states.get(state)
        if form is None:
            form = self._states[state] = {
                "route": state.route.as_manifest(),
                "origin": state.origin.value,
                "shadowed_by": state.shadow,
                "declared": state.declared.as_manifest() if state.declared else None,
                "managed_service": self._service if state.route == MANAGED else None,
            }
        return {
            "namespace": row.account.namespace,
            "account": row.account.name,
            "domain": row.domain,
            **form,
            "since": rfc3339(row.since),
        }


_CSV_HEADS = (
    "namespace", "account", "domain", "route", "profile", "origin", "since", "shadowed_by",
    "declared_route", "declared_profile",
)  # fmt: skip


def _csv_row(row: RouteRow) -> tuple[str, ...]:
    state = row.state
    return (
        row.account.namespace,
        row.account.name,
        row.domain,
        state.route.kind.value,
        state.route.profile or "",
        state.origin.value,
        rfc3339(row.since),
        state.shadow or "",
        state.declared.kind.value if state.declared else "",
        (state.declared.profile or "") if state.declared else "",
    )


_HEADS = ("ACCOUNT", "DOMAIN", "ROUTE", "ORIGIN", "SINCE")


def _text(stream: RouteStream, console: Console) -> Iterable[str]:
    """Fits the columns to the groups, because the widths must be known before the first line."""
    # The declared routes are only shown if an apply-all shadows one of them.
    columns = Columns((*_HEADS, "DECLARES"), optional=("DECLARES",))
    cells = _RouteCells()
    for group in stream.groups:
        columns.fit(cells.widest(group))
    if columns.is_empty:
        return ["No domains.\n"]
    return columns.lines(map(cells.of, stream.rows), console=console)


class _RouteCells:
    """Cells of rows. A million domains share few accounts, states and times."""

    def __init__(self) -> None:
        self._account = lru_cache(1024)(str)
        self._state = lru_cache(1024)(_state_cells)
        self._minute = lru_cache(1024)(to_minute)

    def of(self, row: RouteRow) -> tuple[str, ...]:
        return self._cells(row.account, row.domain, row.state, self._minute(row.since))

    def widest(self, group: RouteGroup) -> tuple[str, ...]:
        """Cells as wide as the widest of the group. Names are A-labels, and all times equally
        wide."""
        minute = self._minute(datetime.max.replace(tzinfo=UTC))
        return self._cells(group.account, "x" * group.longest, group.state, minute)

    def _cells(
        self, account: AccountKey, domain: str, state: DomainState, since: str
    ) -> tuple[str, ...]:
        route, origin, declared = self._state(state)
        return self._account(account), domain, route, origin, since, declared


def _state_cells(state: DomainState) -> tuple[str, str, str]:
    return str(state.route), state.origin.value, str(state.declared) if state.is_shadowed else ""
