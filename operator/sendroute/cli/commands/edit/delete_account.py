"""Delete an account with all its domains and profiles.

Its MailAccount first says that it is to be removed, with the number of domains that confirms it:
those of the manifests, or those of the store if it has more. Nothing happens before `sendroute
apply`. When the store has no such account any more, the same command removes its documents.

examples:
  sendroute edit delete-account acme manifests/
  sendroute edit delete-account acme --confirm 12 manifests/
"""

from argparse import Namespace

from sendroute.cli.command_line import Parser, count_from_zero
from sendroute.cli.options import account_argument, edit_options
from sendroute.cli.session import Session


def options(parser: Parser) -> None:
    account_argument(parser)
    parser.add_argument(
        "--confirm",
        metavar="N",
        type=count_from_zero,
        help="the number of domains that you expect to be removed (default: all)",
    )
    edit_options(parser)


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.edit_check import stored_account
    from sendroute.cli.edit_session import editing
    from sendroute.edit.account import delete_account

    with editing(arguments, session) as edit:
        edit.need_all()
        key = edit.account(arguments.account)
        stored = stored_account(session, key)
        proposal = delete_account(
            edit.tree,
            key,
            stored.account,
            confirm=arguments.confirm,
            store_known=stored.known,
        )
        return edit.finish(proposal, deletes=True)
