"""Print the CustomResourceDefinitions of Sendroute's kinds, for Kubernetes.

examples:
  sendroute crds | kubectl apply --server-side -f -   create or update them
  sendroute crds SendingDomain                        one kind
"""

from argparse import Namespace

from sendroute.cli.command_line import Parser
from sendroute.cli.options import Output, kind_argument
from sendroute.cli.output import present
from sendroute.cli.session import Session
from sendroute.manifests.shapes import KINDS


def options(parser: Parser) -> None:
    kind_argument(parser, tuple(KINDS))


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.manifests.crd import as_yaml

    kinds = list(KINDS) if arguments.kind is None else [arguments.kind]
    return present(session, [Output("yaml", None)], lambda _form, _page: map(as_yaml, kinds))
