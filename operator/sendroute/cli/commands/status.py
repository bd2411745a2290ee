"""Show the store's revision and lineage, its relays, and what is shadowed.

examples:
  sendroute status
  sendroute status -o json
"""

from argparse import Namespace
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sendroute.cli.command_line import Parser
from sendroute.cli.output import TABLES, output_option, outputs_of, present
from sendroute.cli.session import Session

if TYPE_CHECKING:
    from sendroute.store.answers import RouteRow, Status


def options(parser: Parser) -> None:
    output_option(parser, TABLES)


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.reports.as_json import document
    from sendroute.store.record import open_store

    outputs = outputs_of(arguments)
    with open_store(session.store) as store:
        status = store.status()
        rows = store.routes() if status.shadowed else []
    shadowed = [row for row in rows if _is_shadowed(row)]

    def show(form: str, colour: bool) -> Iterable[str]:
        return (
            document(_document(status, shadowed))
            if form == "json"
            else (_text(status, shadowed, colour))
        )

    return present(session, outputs, show)


def _is_shadowed(row: "RouteRow") -> bool:
    state = row.state
    return state.shadow is not None and state.declared not in (None, state.route)


def _document(status: "Status", shadowed: list["RouteRow"]) -> Iterable[tuple[str, Any]]:
    from sendroute.cli.moments import moment

    yield "format_version", "1.0"
    yield "store", {"lineage": status.lineage, "revision": status.revision}
    yield "created", moment(status.created_at)
    yield "changed", moment(status.changed_at)
    yield "accounts", status.accounts
    yield "profiles", status.profiles
    yield "domains", status.domains
    yield (
        "relays",
        [
            {
                "name": relay.name,
                "revision": relay.revision,
                "seen": moment(relay.seen_at),
                "behind": relay.revision < status.revision,
            }
            for relay in status.relays
        ],
    )
    yield "shadowed", map(_shadowed, shadowed)


def _shadowed(row: "RouteRow") -> dict[str, Any]:
    state = row.state
    return {
        "namespace": row.account.namespace,
        "account": row.account.name,
        "domain": row.domain,
        "declared": state.declared.as_manifest() if state.declared else None,
        "assigned": state.route.as_manifest(),
        "apply_all": state.shadow,
    }


def _text(status: "Status", shadowed: list["RouteRow"], colour: bool) -> Iterable[str]:
    from sendroute.cli.moments import minute
    from sendroute.reports.table import pairs, table

    yield from pairs(
        [
            ("lineage", status.lineage),
            ("revision", f"{status.revision}, of {minute(status.changed_at)}"),
            (
                "holds",
                f"{status.accounts} accounts, {status.profiles} profiles, {status.domains} domains",
            ),
        ]
    )
    yield "\n"
    if status.relays:
        rows = [
            (
                relay.name,
                str(relay.revision),
                minute(relay.seen_at),
                "behind" if relay.revision < status.revision else "serves it",
            )
            for relay in status.relays
        ]
        yield from table(("RELAY", "REVISION", "SEEN", ""), rows, colour=colour)
    else:
        yield "No relay is registered.\n"
    if shadowed:
        yield "\n"
        cells = [
            (
                str(row.account),
                row.domain,
                str(row.state.declared),
                str(row.state.route),
                row.state.shadow or "",
            )
            for row in shadowed
        ]
        head = ("ACCOUNT", "SHADOWED DOMAIN", "DECLARES", "HAS", "APPLY-ALL")
        yield from table(head, cells, colour=colour)
