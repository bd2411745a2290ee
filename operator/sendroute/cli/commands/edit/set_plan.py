"""Set the service plan of an account.

On a plan without managed sending, domains that are sent through the managed relay are reassigned;
`sendroute plan` lists them.

examples:
  sendroute edit set-plan acme pro manifests/
"""

from argparse import Namespace

from sendroute.cli.command_line import Parser
from sendroute.cli.options import account_argument, edit_options
from sendroute.cli.session import Session
from sendroute.edit.account import set_plan


def options(parser: Parser) -> None:
    account_argument(parser)
    parser.add_argument("plan", metavar="PLAN", help="the service plan")
    edit_options(parser)


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.edit_session import editing

    with editing(arguments, session) as edit:
        key = edit.account(arguments.account)
        return edit.finish(set_plan(edit.tree, key, arguments.plan), deletes=True)
