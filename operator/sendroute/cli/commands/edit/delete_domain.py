"""Delete a domain: its document. After the next apply its mail is refused.

A profile that its document defines inline is kept: it moves to its own document.

examples:
  sendroute edit delete-domain old.example.com manifests/
"""

from argparse import Namespace

from sendroute.cli.command_line import Parser
from sendroute.cli.options import account_of_domain, domain_argument, edit_options
from sendroute.cli.session import Session
from sendroute.edit.delete_domain import delete_domain


def options(parser: Parser) -> None:
    domain_argument(parser)
    account_of_domain(parser)
    edit_options(parser)


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.edit_session import editing

    with editing(arguments, session) as edit:
        key = edit.account(arguments.account) if arguments.account else None
        return edit.finish(delete_domain(edit.tree, arguments.domain, key))
