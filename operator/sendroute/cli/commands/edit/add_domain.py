"""Declare a new domain, beside the account's other domains and in their style.

Without a route it starts on the account's default. With --new-profile, its document defines an
inline profile, which the whole account can use.

examples:
  sendroute edit add-domain shop.example.com --account acme manifests/
  sendroute edit add-domain shop.example.com --account acme --profile ses manifests/
  sendroute edit add-domain news.example.com --account acme --new-profile mailgun \\
      --provider mailgun --secret mailgun-smtp --test manifests/
  sendroute edit add-domain mail.example.com --account acme --new-profile relay \\
      --host smtp.example.com --port 587 --encryption starttls --secret relay manifests/
"""

from argparse import Namespace
from functools import partial

from sendroute.cli.command_line import Parser, UsageError
from sendroute.cli.options import edit_options, file_option, route_of_options, route_options
from sendroute.cli.profile_options import (
    given_profile_options,
    profile_fields,
    profile_options,
)
from sendroute.cli.session import Session
from sendroute.edit.add_domain import InlineProfile, add_domain


def options(parser: Parser) -> None:
    parser.add_argument("domain", metavar="DOMAIN", help="the new domain")
    parser.add_argument(
        "--account", metavar="ACCOUNT", required=True, help="its account, NAME or NAMESPACE/NAME"
    )
    group = route_options(parser, required=False)
    group.add_argument("--new-profile", metavar="NAME", help="define a new profile with this name")
    profile_options(parser, "of the new profile: ")
    file_option(parser)
    edit_options(parser)


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.edit_check import stored_if_readable
    from sendroute.cli.edit_session import editing

    new = _new_profile(arguments)
    with editing(arguments, session) as edit:
        key = edit.account(arguments.account)
        file = edit.file(arguments.file) if arguments.file else None
        route = new or route_of_options(arguments)
        stored = partial(stored_if_readable, session)
        proposal = add_domain(edit.tree, key, arguments.domain, route, file, stored)
        tested = (key, new.name) if new and arguments.test else None
        return edit.finish(proposal, test=tested)


def _new_profile(arguments: Namespace) -> InlineProfile | None:
    if arguments.new_profile is None:
        given = given_profile_options(arguments)
        if given or arguments.test:
            word = given[0].replace("_", "-") if given else "test"
            raise UsageError(f"--{word} describes a new profile: specify it with --new-profile.")
        return None
    return InlineProfile(arguments.new_profile, profile_fields(arguments))
