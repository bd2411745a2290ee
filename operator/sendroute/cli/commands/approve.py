"""Approve one change that `run` or `operator` has held back.

They leave an account as it is if a change would remove or reroute too many of its domains, or
of the store's, if its documents vanished, or if the tree is older than the one applied last. An
approval is for this account and the plan that is shown: if the manifests or the store change
before it is applied, the change is held back again.

examples:
  sendroute approve acme                     show the plan, and confirm
  sendroute approve acme/acme --auto-approve --digest 4f1a22b09c
"""

from argparse import Namespace
from collections.abc import Iterable

from msgspec import to_builtins

from sendroute.cli.command_line import Parser
from sendroute.cli.options import TABLES, output_option, outputs_of
from sendroute.cli.output import present
from sendroute.cli.session import Session
from sendroute.model.owner import owner_names
from sendroute.model.words import actions_planned
from sendroute.reconcile.approvals import is_refused
from sendroute.reports.as_json import document
from sendroute.reports.text import Console


def options(parser: Parser) -> None:
    parser.add_argument("account", metavar="ACCOUNT", help="NAME, or NAMESPACE/NAME if ambiguous")
    parser.switch("--auto-approve", help="approve without confirmation")
    parser.value(
        "--digest",
        metavar="DIGEST",
        type=str.lower,
        help="approve only the plan with this digest, or with this beginning of one",
    )
    output_option(parser, TABLES)


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.approval import approve

    outputs = outputs_of(arguments)
    with session.factory.open_store() as store:
        approved = approve(
            session, store, arguments.account, arguments.digest, sure=arguments.auto_approve
        )

    def show(form: str, _page: Console) -> Iterable[str]:
        if form == "json":
            namespace, account = owner_names(approved.key)
            return document(
                [
                    ("format_version", "1.0"),
                    ("namespace", namespace),
                    ("account", account),
                    ("digest", approved.digest),
                    ("changes", approved.report.summary),
                    ("steps", to_builtins(approved.report.steps)),
                ]
            )
        counts = actions_planned(approved.report.summary)
        instead = " `sendroute apply` takes an option instead." if is_refused(approved) else ""
        return (
            f"Approved for account {approved.key}: {counts}.\n",
            f"The next round of a loop applies it.{instead}\n",
        )

    return present(session, outputs, show)
