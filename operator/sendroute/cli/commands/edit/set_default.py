"""Declare what new domains of an account start with. It re-routes no domain that is there.

examples:
  sendroute edit set-default acme --profile ses manifests/
  sendroute edit set-default acme --remove manifests/         the plan's own default again
"""

from argparse import Namespace

from sendroute.cli.command_line import Parser
from sendroute.cli.edit_options import (
    account_argument,
    edit_options,
    route_of_options,
    route_options,
)
from sendroute.cli.session import Session


def options(parser: Parser) -> None:
    account_argument(parser)
    group = route_options(parser, required=True)
    group.add_argument("--remove", action="store_true", help="declare none: the plan's own serves")
    edit_options(parser)


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.editing import EditSession
    from sendroute.edit.set_default import set_default

    edit = EditSession(arguments, session)
    with edit.located():
        key = edit.account(arguments.account)
        return edit.finish(set_default(edit.tree, key, route_of_options(arguments)))
