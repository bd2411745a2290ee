"""Move an inline profile from a domain's document to its own document.

The domain's route then refers to it. No route changes: `sendroute plan` stays empty.

examples:
  sendroute edit extract-profile acme/mailgun manifests/
"""

from argparse import Namespace

from sendroute.cli.command_line import Parser
from sendroute.cli.options import edit_options, profile_argument
from sendroute.cli.session import Session
from sendroute.edit.extract_profile import extract_profile


def options(parser: Parser) -> None:
    profile_argument(parser)
    edit_options(parser)


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.edit_session import editing

    with editing(arguments, session) as edit:
        key, name = edit.profile(arguments.profile_name, arguments.account)
        return edit.finish(extract_profile(edit.tree, key, name))
