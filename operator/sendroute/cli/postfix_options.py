"""What the commands about Postfix share."""

from sendroute.cli.command_line import DIRECTORY, Parser
from sendroute.cli.session import Session
from sendroute.model.platform import Platform
from sendroute.postfix.parameters import usable


def postfix_options(parser: Parser) -> None:
    """The directory of the lookup tables, and Postfix's own."""
    tables_option(parser, required=True)
    config_directory_option(parser)


def tables_option(parser: Parser, *, required: bool) -> None:
    """The directory of the lookup tables, the same for the agent and for Postfix."""
    parser.value(
        "--dir",
        metavar="DIR",
        type=DIRECTORY,
        required=required,
        help="directory of the lookup tables that the relay's agent writes and Postfix reads",
    )


def config_directory_option(parser: Parser) -> None:
    """Which Postfix of this machine."""
    parser.value(
        "--postfix-config-dir",
        metavar="DIR",
        type=DIRECTORY,
        help="directory of Postfix's main.cf and master.cf (default: Postfix's own)",
    )


def platform_of(session: Session) -> Platform | None:
    """The store's platform, whose heloName, caFile and deadline Postfix gets too."""
    with session.factory.open_store() as store:
        return usable(store.read(()).platform)
