"""Declare the route of a domain.

An inline profile of the domain is kept: it moves to its own document.

examples:
  sendroute edit set-route shop.example.com --profile ses manifests/
  sendroute edit set-route shop.example.com --managed manifests/acme.yaml
  sendroute edit set-route old.example.com --unconfigured manifests/ --dry-run
"""

from argparse import Namespace

from sendroute.cli.command_line import Parser
from sendroute.cli.options import edit_options, required_route, route_options
from sendroute.cli.session import Session
from sendroute.edit.set_route import set_route


def options(parser: Parser) -> None:
    parser.add_argument("domain", metavar="DOMAIN", help="the domain")
    route_options(parser, required=True)
    parser.add_argument(
        "--account",
        metavar="ACCOUNT",
        help="its account, if two accounts declare it: NAME or NAMESPACE/NAME",
    )
    edit_options(parser)


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.edit_session import EditSession

    edit = EditSession(arguments, session)
    with edit.adds_positions():
        key = edit.account(arguments.account) if arguments.account else None
        route = required_route(arguments)
        return edit.finish(set_route(edit.tree, arguments.domain, route, key))
