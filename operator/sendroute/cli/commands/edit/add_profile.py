"""Declare a new profile of an account, beside its other profiles and in their style.

No domain uses it before a route, the account's default or an apply-all refers to it.

examples:
  sendroute edit add-profile mailgun --account acme --provider mailgun --secret mailgun-smtp \\
      --test manifests/
  sendroute edit add-profile relay --account acme --host smtp.example.com --port 587 \\
      --encryption starttls --secret relay manifests/
"""

from argparse import Namespace

from sendroute.cli.command_line import Parser
from sendroute.cli.options import edit_options, file_option, profile_of_account
from sendroute.cli.profile_options import profile_fields, profile_options
from sendroute.cli.session import Session
from sendroute.edit.add_profile import add_profile


def options(parser: Parser) -> None:
    profile_of_account(parser)
    profile_options(parser)
    file_option(parser)
    edit_options(parser)


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.edit_session import editing

    with editing(arguments, session) as edit:
        key = edit.account(arguments.account)
        file = edit.file(arguments.file) if arguments.file else None
        fields = profile_fields(arguments)
        proposal = add_profile(edit.tree, key, arguments.name, fields, file)
        return edit.finish(proposal, test=(key, arguments.name) if arguments.test else None)
