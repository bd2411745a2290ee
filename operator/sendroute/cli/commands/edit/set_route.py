"""Declare the route of a domain.

An inline profile of the domain is kept: it moves to its own document.

examples:
  sendroute edit set-route shop.example.com --profile ses manifests/
  sendroute edit set-route shop.example.com --managed manifests/acme.yaml
  sendroute edit set-route old.example.com --unconfigured manifests/ --dry-run
"""

from argparse import Namespace

from sendroute.cli.command_line import Parser
from sendroute.cli.options import (
    account_of_domain,
    domain_argument,
    edit_options,
    required_route,
    route_options,
)
from sendroute.cli.session import Session
from sendroute.edit.set_route import set_route


def options(parser: Parser) -> None:
    domain_argument(parser)
    route_options(parser, required=True)
    account_of_domain(parser)
    edit_options(parser)


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.edit_session import editing

    with editing(arguments, session) as edit:
        key = edit.account(arguments.account) if arguments.account else None
        route = required_route(arguments)
        return edit.finish(set_route(edit.tree, arguments.domain, route, key))
