"""The options that the edits share: a route, an account, the tree, --dry-run.

No environment variable sets an option about one object. (Kubernetes also sets variables such as
SENDROUTE_PORT in every pod next to a Service named sendroute.)
"""

import argparse
from typing import TYPE_CHECKING

from sendroute.cli.command_line import Parser, WrongUsageError
from sendroute.cli.output import TABLES, output_option

if TYPE_CHECKING:
    from sendroute.model.route import Route


def route_options(parser: Parser, *, required: bool) -> "argparse._MutuallyExclusiveGroup":
    group = parser.add_mutually_exclusive_group(required=required)
    group.add_argument("--profile", metavar="NAME", help="through this profile of the account")
    group.add_argument("--managed", action="store_true", help="through the managed relay")
    group.add_argument(
        "--unconfigured", action="store_true", help="no route: the domain must not send"
    )
    return group


def route_of_options(arguments: argparse.Namespace) -> "Route | None":
    from sendroute.model.route import MANAGED, UNCONFIGURED, via

    if arguments.profile is not None:
        return via(arguments.profile)
    if arguments.managed:
        return MANAGED
    return UNCONFIGURED if arguments.unconfigured else None


def account_argument(parser: Parser) -> None:
    parser.add_argument("account", metavar="ACCOUNT", help="NAME or NAMESPACE/NAME")


def profile_of_account(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="the profile")
    parser.add_argument(
        "--account", metavar="ACCOUNT", required=True, help="its account, NAME or NAMESPACE/NAME"
    )


def edit_options(parser: Parser) -> None:
    parser.add_argument("paths", nargs="+", metavar="PATH", help="directory or file of manifests")
    parser.switch("--dry-run", help="print the changes as a diff, write nothing")
    output_option(parser, TABLES)


def refuse_stdin(paths: list[str]) -> None:
    if "-" in paths:
        raise WrongUsageError("Standard input cannot be edited in place: give files.")
