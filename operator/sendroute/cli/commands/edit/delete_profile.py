"""Delete a profile: its document, or its inline definition.

If domains, the default or the reassignTo of other profiles refer to it, the edit is refused and
lists them, until you specify a replacement. If the store is available, domains that use the profile
without declaring it declare the replacement then; with --undeclare they are listed. An applyToAll
that refers to the profile is removed, because its confirmation was for that route.

examples:
  sendroute edit delete-profile mailgun manifests/
  sendroute edit delete-profile acme/mailgun --profile ses manifests/
  sendroute edit delete-profile mailgun --account acme --undeclare manifests/
"""

from argparse import Namespace

from sendroute.cli.command_line import Parser
from sendroute.cli.options import (
    edit_options,
    profile_argument,
    route_of_options,
    route_options,
)
from sendroute.cli.session import Session
from sendroute.edit.delete_profile import NO_ROUTE, delete_profile


def options(parser: Parser) -> None:
    profile_argument(parser)
    group = route_options(parser, required=False)
    group.add_argument(
        "--undeclare",
        action="store_true",
        help="declare no route instead: onDelete or the plan default applies",
    )
    edit_options(parser)


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.edit_check import stored_account
    from sendroute.cli.edit_session import editing

    with editing(arguments, session) as edit:
        edit.need_all()
        key, name = edit.profile(arguments.profile_name, arguments.account)
        replacement = NO_ROUTE if arguments.undeclare else route_of_options(arguments)
        stored = stored_account(session, key)
        proposal = delete_profile(
            edit.tree, key, name, replacement, stored.account, store_known=stored.known
        )
        return edit.finish(proposal)
