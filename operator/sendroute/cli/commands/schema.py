"""Print the JSON Schema of a kind, or one for every kind.

examples:
  sendroute schema SendingDomain
  sendroute schema > sendroute.schema.json        for an editor
  sendroute schema MailAccount --draft draft-07   the draft that most editors support
"""

import json
from argparse import ArgumentTypeError, Namespace

from sendroute.cli.command_line import OneOf, Parser, one_of, suggestion
from sendroute.cli.options import Output
from sendroute.cli.output import present
from sendroute.cli.session import Session
from sendroute.manifests.schema import schema_for
from sendroute.manifests.shapes import KINDS

_DRAFTS = ("2020-12", "draft-07")


def options(parser: Parser) -> None:
    parser.add_argument(
        "kind", nargs="?", metavar="KIND", type=_Kind(tuple(KINDS)), help="every kind if absent"
    )
    parser.value(
        "--draft",
        metavar="DRAFT",
        type=one_of(*_DRAFTS),
        default=_DRAFTS[0],
        help=f"{' or '.join(_DRAFTS)} (default {_DRAFTS[0]})",
    )


class _Kind(OneOf):
    def __call__(self, text: str) -> str:
        if text not in self.words:
            near = suggestion(text, self.words) or f" The kinds are {', '.join(self.words)}."
            raise ArgumentTypeError(f"there is no kind `{text}`.{near}")
        return text


def run(arguments: Namespace, session: Session) -> int:
    schema = schema_for(arguments.kind, arguments.draft)
    text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    return present(session, [Output("json", None)], lambda _form, _page: [text])
