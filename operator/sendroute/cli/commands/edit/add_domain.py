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

import os
from argparse import ArgumentTypeError, Namespace

from sendroute.cli.command_line import Parser, UsageError, one_of
from sendroute.cli.options import edit_options, route_of_options, route_options
from sendroute.cli.session import Session
from sendroute.edit.add_domain import InlineProfile, add_domain

_PROVIDERS = ("ses", "sendgrid", "mailgun", "postmark", "microsoft365", "google")
_OF_A_NEW_PROFILE = ("provider", "host", "port", "encryption", "secret")


def options(parser: Parser) -> None:
    parser.add_argument("domain", metavar="DOMAIN", help="the new domain")
    parser.add_argument(
        "--account", metavar="ACCOUNT", required=True, help="its account, NAME or NAMESPACE/NAME"
    )
    group = route_options(parser, required=False)
    group.add_argument("--new-profile", metavar="NAME", help="define a new profile with this name")
    parser.add_argument(
        "--provider",
        metavar="PROVIDER",
        type=one_of(*_PROVIDERS),
        help=f"of the new profile: {', '.join(_PROVIDERS)}",
    )
    parser.add_argument("--host", metavar="HOST", help="of the new profile: its SMTP host")
    parser.add_argument("--port", metavar="PORT", type=_port, help="of the new profile: its port")
    parser.add_argument(
        "--encryption",
        metavar="HOW",
        type=one_of("none", "starttls", "tls"),
        help="of the new profile: starttls, tls or none",
    )
    parser.add_argument(
        "--secret", metavar="NAME", help="of the new profile: the secret with its credentials"
    )
    parser.add_argument(
        "--test",
        action="store_true",
        help="test the new profile's connection first; write nothing if it fails",
    )
    parser.add_argument("--file", metavar="FILE", help="write it to this file, new or among PATH")
    edit_options(parser)


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.edit_session import EditSession

    new = _new_profile(arguments)
    edit = EditSession(arguments, session)
    with edit.adds_positions():
        key = edit.account(arguments.account)
        file = os.path.normpath(arguments.file) if arguments.file else None
        route = new or route_of_options(arguments)
        proposal = add_domain(edit.tree, key, arguments.domain, route, file)
        tested = (key, new.name) if new and arguments.test else None
        return edit.finish(proposal, test=tested)


def _new_profile(arguments: Namespace) -> InlineProfile | None:
    given = [name for name in _OF_A_NEW_PROFILE if getattr(arguments, name) is not None]
    if arguments.new_profile is None:
        if given or arguments.test:
            word = given[0] if given else "test"
            raise UsageError(f"--{word} describes a new profile: specify it with --new-profile.")
        return None
    fields = {name: getattr(arguments, name) for name in given if name != "secret"}
    if arguments.secret is not None:
        fields["credentials"] = {"secretRef": {"name": arguments.secret}}
    return InlineProfile(arguments.new_profile, fields)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise ArgumentTypeError(f"`{text}` is not a port from 1 to 65535")
    return int(text)
