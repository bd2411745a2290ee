"""Declare the default route of new domains of an account. It reroutes no existing domain.

examples:
  sendroute edit set-default acme --profile ses manifests/
  sendroute edit set-default acme --remove manifests/         back to the plan default
"""

from argparse import Namespace

from sendroute.cli.command_line import Parser
from sendroute.cli.options import (
    account_argument,
    edit_options,
    route_of_options,
    route_options,
)
from sendroute.cli.session import Session
from sendroute.edit.set_default import set_default


def options(parser: Parser) -> None:
    account_argument(parser)
    group = route_options(parser, required=True)
    group.add_argument(
        "--remove", action="store_true", help="declare none: the plan default applies"
    )
    edit_options(parser)


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.edit_session import editing

    with editing(arguments, session) as edit:
        key = edit.account(arguments.account)
        return edit.finish(set_default(edit.tree, key, route_of_options(arguments)))
