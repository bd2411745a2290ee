"""List the assigned routes of domains, with their origin and since when.

examples:
  sendroute routes
  sendroute routes shop.example.com mail.example.com
  sendroute routes --account acme/acme --profile ses -o json
"""

from argparse import Namespace
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sendroute.cli.command_line import Parser
from sendroute.cli.output import TABLES, output_option, outputs_of, present, tell, worst
from sendroute.cli.session import Session

if TYPE_CHECKING:
    from sendroute.model.finding import Finding
    from sendroute.store.records import RouteRow


def options(parser: Parser) -> None:
    parser.add_argument("domains", nargs="*", metavar="DOMAIN", help="these alone")
    parser.value("--account", metavar="ACCOUNT", help="of this account, NAME or NAMESPACE/NAME")
    parser.value("--profile", metavar="PROFILE", help="through this profile")
    output_option(parser, TABLES)


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.account_names import accounts_named
    from sendroute.model.exit_status import of_findings
    from sendroute.reports.as_json import document
    from sendroute.store.record import open_store

    outputs = outputs_of(arguments)
    names = [_as_held(name) for name in arguments.domains]
    with open_store(session.store) as store:
        account = None
        if arguments.account:
            (account,) = accounts_named([arguments.account], store.accounts())
        rows = store.routes(names, account, arguments.profile)
    rows.sort(key=lambda row: (row.account, row.domain))
    unknown = _unknown(names, rows)

    def show(form: str, colour: bool) -> Iterable[str]:
        if form == "json":
            return document([("format_version", "1.0"), ("domains", map(_entry, rows))])
        return _text(rows, colour)

    written = present(session, outputs, show)
    tell(session, unknown)
    return worst(of_findings(unknown), written)


def _as_held(name: str) -> str:
    from sendroute.manifests.names import BadNameError, domain_name

    try:
        return domain_name(name)
    except BadNameError:
        return name


def _unknown(names: Sequence[str], rows: Sequence["RouteRow"]) -> list["Finding"]:
    """A domain that was asked for and that no account has, or none that was asked for."""
    from sendroute.model.codes import finding

    found = {row.domain for row in rows}
    return [
        finding(
            "unknown-domain",
            f"The store has no such domain here: {name}.",
            hint="`sendroute routes` lists them all; mail from an unknown domain is refused.",
        )
        for name in names
        if name not in found
    ]


def _entry(row: "RouteRow") -> dict[str, Any]:
    from sendroute.cli.moments import moment

    state = row.state
    return {
        "namespace": row.account.namespace,
        "account": row.account.name,
        "domain": row.domain,
        "route": state.route.as_manifest(),
        "origin": state.origin.value,
        "shadowed_by": state.shadow,
        "declared": state.declared.as_manifest() if state.declared else None,
        "since": moment(row.since),
    }


def _text(rows: Sequence["RouteRow"], colour: bool) -> Iterable[str]:
    from sendroute.cli.moments import minute
    from sendroute.reports.table import table

    if not rows:
        return ["No domains.\n"]
    heads = ["ACCOUNT", "DOMAIN", "ROUTE", "ORIGIN", "SINCE"]
    cells = [
        [
            str(row.account),
            row.domain,
            str(row.state.route),
            row.state.origin.value,
            minute(row.since),
        ]
        for row in rows
    ]
    shadowed = [_shadowed(row) for row in rows]
    if any(shadowed):  # what is declared, where an apply-all is what counts
        heads.append("DECLARES")
        for cell, declared in zip(cells, shadowed, strict=True):
            cell.append(declared)
    return table(heads, cells, colour=colour)


def _shadowed(row: "RouteRow") -> str:
    state = row.state
    if state.shadow is None or state.declared in (None, state.route):
        return ""
    return str(state.declared)
