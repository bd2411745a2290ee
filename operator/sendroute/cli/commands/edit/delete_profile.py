"""Delete a profile: its document, or its definition in line.

Domains, the default and other profiles' reassignTo that name it stand in the way, and are listed,
until you say what takes its place. An applyToAll that names it is taken out: its confirmation was
for that route.

examples:
  sendroute edit delete-profile mailgun --account acme manifests/
  sendroute edit delete-profile mailgun --account acme --profile ses manifests/
  sendroute edit delete-profile mailgun --account acme --undeclare manifests/
"""

from argparse import Namespace

from sendroute.cli.command_line import Parser
from sendroute.cli.edit_options import edit_options, profile_of_account, route_options, route_told
from sendroute.cli.session import Session


def options(parser: Parser) -> None:
    profile_of_account(parser)
    group = route_options(parser, required=False)
    group.add_argument(
        "--undeclare",
        action="store_true",
        help="declare nothing there: by its onDelete, else the plan, domains are reassigned",
    )
    edit_options(parser)


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.editing import EditSession
    from sendroute.edit.delete_profile import UNDECLARED, delete_profile

    ground = EditSession(arguments, session)
    with ground.located():
        ground.need_all()
        key = ground.account(arguments.account)
        instead = UNDECLARED if arguments.undeclare else route_told(arguments)
        return ground.finish(delete_profile(ground.tree, key, arguments.name, instead))
