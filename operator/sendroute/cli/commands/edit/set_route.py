"""Declare the route of a domain.

An inline profile of the domain is kept: it moves to its own document. If an apply-all shadows the
route, or is about to, the document states that its route overrides that apply-all: the next apply
gives the domain its declared route.

examples:
  sendroute edit set-route shop.example.com --profile ses manifests/
  sendroute edit set-route shop.example.com --managed manifests/acme.yaml
  sendroute edit set-route old.example.com --unconfigured manifests/ --dry-run
  sendroute edit set-route old.example.com --unconfigured --overrides 2026-11-move manifests/
"""

from argparse import Namespace
from functools import partial

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
    parser.add_argument(
        "--overrides",
        metavar="ID",
        help="the apply-all that the route overrides (default: that of the account's manifest"
        " unless it ran, else the one that shadows the route in the store)",
    )
    edit_options(parser)


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.edit_check import stored_if_readable
    from sendroute.cli.edit_session import editing

    with editing(arguments, session) as edit:
        key = edit.account(arguments.account) if arguments.account else None
        route = required_route(arguments)
        proposal = set_route(
            edit.tree,
            arguments.domain,
            route,
            key,
            overrides=arguments.overrides,
            stored=partial(stored_if_readable, session),
        )
        return edit.finish(proposal)
