"""The options of the commands about Postfix, and the text of their results."""

from collections.abc import Iterable, Sequence

from sendroute.cli.command_line import DIRECTORY, Parser
from sendroute.cli.hints import with_hint
from sendroute.cli.session import Session
from sendroute.model.finding import Finding
from sendroute.model.platform import Platform
from sendroute.postfix.parameters import usable
from sendroute.reports.as_text import finding_lines
from sendroute.reports.text import Page


def postfix_options(parser: Parser) -> None:
    """The directory of the lookup tables, and Postfix's own."""
    parser.value(
        "--dir",
        metavar="DIR",
        type=DIRECTORY,
        required=True,
        help="directory of the lookup tables that the relay's agent writes",
    )
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


def findings_text(findings: Sequence[Finding], page: Page) -> Iterable[str]:
    """Findings as text, with their hints."""
    for item in findings:
        yield from (line + "\n" for line in finding_lines(with_hint(item), page))
