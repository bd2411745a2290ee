"""Switch every domain of an account to one route, once.

Writes applyToAll with a new id and the number of domains that confirms it: those of the manifests,
or those of the store if it has more. An existing applyToAll is replaced. Nothing happens before
`sendroute apply`.

examples:
  sendroute edit apply-to-all acme --profile ses manifests/
  sendroute edit apply-to-all acme --managed --id 2026-11-back-to-managed manifests/
"""

from argparse import Namespace
from datetime import UTC, datetime

from sendroute.cli.command_line import Parser, count
from sendroute.cli.options import (
    account_argument,
    edit_options,
    required_route,
    route_options,
)
from sendroute.cli.session import Session
from sendroute.edit.apply_to_all import apply_to_all


def options(parser: Parser) -> None:
    account_argument(parser)
    route_options(parser, required=True)
    parser.add_argument(
        "--id", metavar="ID", help="its id; an id runs at most once (default: a new one)"
    )
    parser.add_argument(
        "--confirm",
        metavar="N",
        type=count,
        help="the number of domains that you expect to switch (default: all)",
    )
    edit_options(parser)


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.edit_check import stored_account
    from sendroute.cli.edit_session import editing

    with editing(arguments, session) as edit:
        key = edit.account(arguments.account)
        current = stored_account(session, key).account
        route = required_route(arguments)
        return edit.finish(
            apply_to_all(
                edit.tree,
                key,
                route,
                today=datetime.now(UTC).date(),
                id=arguments.id,
                confirm=arguments.confirm,
                current=len(current.domains) if current else 0,
                completed=current.completed_apply_alls if current else (),
            )
        )
