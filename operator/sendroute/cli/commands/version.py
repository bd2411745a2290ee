"""Print the version of the program.

examples:
  sendroute version
  sendroute version -o json
"""

from argparse import Namespace
from collections.abc import Iterable

from sendroute.cli.command_line import Parser
from sendroute.cli.options import TABLES, output_option, outputs_of
from sendroute.cli.output import present
from sendroute.cli.session import Session
from sendroute.model.version import __version__
from sendroute.reports.as_json import document
from sendroute.reports.text import Console


def options(parser: Parser) -> None:
    output_option(parser, TABLES)


def run(arguments: Namespace, session: Session) -> int:
    def show(form: str, _page: Console) -> Iterable[str]:
        if form == "json":
            return document([("format_version", "1.0"), ("version", __version__)])
        return [f"sendroute {__version__}\n"]

    return present(session, outputs_of(arguments), show)
