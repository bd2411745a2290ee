"""Print the JSON Schema of a kind, or one for every kind.

examples:
  sendroute schema SendingDomain
  sendroute schema > sendroute.schema.json        for an editor
  sendroute schema MailAccount --draft draft-07   the draft that most editors support
"""

import json
from argparse import Namespace

from sendroute.cli.command_line import Parser, one_of
from sendroute.cli.options import Output, kind_argument
from sendroute.cli.output import present
from sendroute.cli.session import Session
from sendroute.manifests.schema import schema_for
from sendroute.manifests.shapes import KINDS

_DRAFTS = ("2020-12", "draft-07")


def options(parser: Parser) -> None:
    kind_argument(parser, tuple(KINDS))
    parser.value(
        "--draft",
        metavar="DRAFT",
        type=one_of(*_DRAFTS),
        default=_DRAFTS[0],
        help=f"{' or '.join(_DRAFTS)} (default {_DRAFTS[0]})",
    )


def run(arguments: Namespace, session: Session) -> int:
    schema = schema_for(arguments.kind, arguments.draft)
    text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    return present(session, [Output("json", None)], lambda _form, _page: [text])
