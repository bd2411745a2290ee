"""Declare a new account, beside the others and in their style.

examples:
  sendroute edit add-account acme/acme --plan pro manifests/
  sendroute edit add-account acme/acme --plan pro --file manifests/acme.yaml manifests/
"""

from argparse import Namespace

from sendroute.cli.command_line import Parser
from sendroute.cli.options import edit_options, file_option
from sendroute.cli.session import Session
from sendroute.edit.account import add_account
from sendroute.manifests.shapes import DEFAULT_NAMESPACE
from sendroute.model.desired import AccountKey


def options(parser: Parser) -> None:
    parser.add_argument(
        "account",
        metavar="ACCOUNT",
        help="NAMESPACE/NAME, or NAME in the namespace default",
    )
    parser.add_argument("--plan", metavar="PLAN", required=True, help="its service plan")
    file_option(parser)
    edit_options(parser)


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.edit_session import editing

    namespace, slash, name = arguments.account.partition("/")
    key = AccountKey(namespace, name) if slash else AccountKey(DEFAULT_NAMESPACE, namespace)
    with editing(arguments, session) as edit:
        file = edit.file(arguments.file) if arguments.file else None
        return edit.finish(add_account(edit.tree, key, arguments.plan, file))
