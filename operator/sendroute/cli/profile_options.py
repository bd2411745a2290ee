"""The options that describe a new profile: of a domain (`edit add-domain`) or of an account (`edit
add-profile`)."""

from argparse import ArgumentTypeError, Namespace
from typing import Any

from sendroute.cli.command_line import ChoiceType, Parser, one_of
from sendroute.model.numerals import decimal
from sendroute.model.providers import PROVIDERS, preset_meant_by
from sendroute.model.spelling import question

_FIELDS = ("provider", "host", "port", "encryption", "allow_insecure_auth", "secret")
_KEYS = {"allow_insecure_auth": "allowInsecureAuth"}  # the field, if it is called otherwise


def profile_options(parser: Parser, subject: str = "") -> None:
    """Add the options. ``subject`` begins their help."""
    parser.add_argument(
        "--provider",
        metavar="PROVIDER",
        type=_PresetType(tuple(PROVIDERS)),
        help=f"{subject}{', '.join(PROVIDERS)}",
    )
    parser.add_argument("--host", metavar="HOST", help=f"{subject}its SMTP host")
    parser.add_argument("--port", metavar="PORT", type=_port, help=f"{subject}its port")
    parser.add_argument(
        "--encryption",
        metavar="HOW",
        type=one_of("none", "starttls", "tls"),
        help=f"{subject}starttls, tls or none",
    )
    parser.add_argument(
        "--allow-insecure-auth",
        action="store_const",
        const=True,
        help=f"{subject}send its credentials without encryption, on a trusted network",
    )
    parser.add_argument(
        "--secret", metavar="NAME", help=f"{subject}the secret with its credentials"
    )
    parser.add_argument(
        "--test",
        action="store_true",
        help="test the new profile's connection first; write nothing if it fails",
    )


def given_profile_options(arguments: Namespace) -> list[str]:
    """The names of the options that describe a profile and were given."""
    return [name for name in _FIELDS if getattr(arguments, name) is not None]


def profile_fields(arguments: Namespace) -> dict[str, Any]:
    """The fields of a manifest that the options give."""
    given = given_profile_options(arguments)
    fields = {_KEYS.get(name, name): getattr(arguments, name) for name in given if name != "secret"}
    if arguments.secret is not None:
        fields["credentials"] = {"secretRef": {"name": arguments.secret}}
    return fields


class _PresetType(ChoiceType):
    """A preset; another name of its provider is an error that says the preset."""

    def __call__(self, text: str) -> str:
        meant = preset_meant_by(text)
        if text not in self.words and meant is not None:
            raise ArgumentTypeError(f"`{text}` is no preset. {question(f'`{meant}`')}")
        return super().__call__(text)


def _port(text: str) -> int:
    port = decimal(text, 65535)
    if not port:
        raise ArgumentTypeError(f"`{text}` is not a port from 1 to 65535")
    return port
