"""Rename a profile, and every reference to it: routes, defaults, reassignTo and applyToAll.

In the store, the old profile is removed and a new one is created, whose connection is tested. If
the store is available, domains that use the profile without declaring it declare it then; without a
store the plan shows that they are reassigned. The name of its secret does not change. Each domain
that uses the profile counts as rerouted; if they are too many for the limit, the next command has
--max-change-percent. Without a store those that earlier edits rerouted do not count, nor do those
of an account with an applyToAll: the store knows the domains that it switched.

examples:
  sendroute edit rename-profile acme/ses ses-ireland manifests/
"""

import re
from argparse import ArgumentTypeError, Namespace

from sendroute.cli.command_line import Parser
from sendroute.cli.options import edit_options, profile_argument
from sendroute.cli.session import Session
from sendroute.edit.rename_profile import rename_profile
from sendroute.model.stored_values import LABEL


def options(parser: Parser) -> None:
    profile_argument(parser)
    parser.add_argument("new_name", metavar="NEW-NAME", type=_name, help="its new name")
    edit_options(parser)


def _name(text: str) -> str:
    if not re.search(LABEL, text):
        raise ArgumentTypeError(
            f"`{text}` is not a name of 1 to 63 lower-case letters, digits and hyphens, with a"
            " letter or digit at both ends"
        )
    return text


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.edit_check import stored_account
    from sendroute.cli.edit_session import editing

    with editing(arguments, session) as edit:
        edit.need_all()
        key, name = edit.profile(arguments.profile_name, arguments.account)
        stored = stored_account(session, key)
        proposal = rename_profile(
            edit.tree,
            key,
            name,
            arguments.new_name,
            stored.account,
            store_known=stored.known,
        )
        return edit.finish(proposal)
