"""Declare the route of a domain.

An inline profile of the domain is kept: it moves to its own document. If the route is declared
already, but an apply-all shadows it, the document states that its route overrides that apply-all:
the next apply gives the domain its declared route again.

examples:
  sendroute edit set-route shop.example.com --profile ses manifests/
  sendroute edit set-route shop.example.com --managed manifests/acme.yaml
  sendroute edit set-route old.example.com --unconfigured manifests/ --dry-run
  sendroute edit set-route old.example.com --unconfigured --overrides 2026-11-move manifests/
"""

from argparse import Namespace
from functools import partial

from sendroute.cli.command_line import Parser
from sendroute.cli.options import edit_options, required_route, route_options
from sendroute.cli.session import Session


def options(parser: Parser) -> None:
    parser.add_argument("domain", metavar="DOMAIN", help="the domain")
    route_options(parser, required=True)
    parser.add_argument(
        "--account",
        metavar="ACCOUNT",
        help="its account, if two accounts declare it: NAME or NAMESPACE/NAME",
    )
    parser.add_argument(
        "--overrides",
        metavar="ID",
        help="the apply-all that the route overrides (default: that of the account's manifest, else"
        " the one in the store, if the route is declared already)",
    )
    edit_options(parser)


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.edit_session import EditSession, shadow_of
    from sendroute.edit.set_route import set_route

    edit = EditSession(arguments, session)
    with edit.located():
        key = edit.account(arguments.account) if arguments.account else None
        route = required_route(arguments)
        proposal = set_route(
            edit.tree,
            arguments.domain,
            route,
            key,
            overrides=arguments.overrides,
            shadow_of=partial(shadow_of, session),
        )
        return edit.finish(proposal)
