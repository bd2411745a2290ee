"""Let through one change that a loop has held back.

A loop leaves an account as it is where a change would remove or re-route too much of it. What is
let through is the plan that is shown, and no other: where the manifests or the store change
before it is applied, it is held back again.

examples:
  sendroute approve acme                     shows it, and asks
  sendroute approve acme/acme --auto-approve --digest 4f1a22b09c
"""

from argparse import Namespace
from collections.abc import Iterable

from sendroute.cli.command_line import Parser
from sendroute.cli.output import TABLES, output_option, outputs_of, present
from sendroute.cli.session import Session


def options(parser: Parser) -> None:
    parser.add_argument("account", metavar="ACCOUNT", help="NAME, or NAMESPACE/NAME where unclear")
    parser.switch("--auto-approve", help="do not ask")
    parser.value(
        "--digest",
        metavar="DIGEST",
        type=str.lower,
        help="approve only the plan of this digest, or of one that begins so",
    )
    output_option(parser, TABLES)


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.approving import approve
    from sendroute.model.owner import owner_names
    from sendroute.reports.as_json import document
    from sendroute.store.record import open_store

    outputs = outputs_of(arguments)
    with open_store(session.settings.store) as store:
        approved = approve(
            session, store, arguments.account, arguments.digest, sure=arguments.auto_approve
        )

    def show(form: str, _colour: bool) -> Iterable[str]:
        if form == "json":
            namespace, account = owner_names(approved.key)
            return document(
                [
                    ("format_version", "1.0"),
                    ("namespace", namespace),
                    ("account", account),
                    ("digest", approved.digest),
                    ("changes", approved.report.summary),
                ]
            )
        counts = ", ".join(f"{count} to {verb}" for verb, count in approved.report.summary.items())
        return (
            f"Approved for account {approved.key}: {counts}.\n",
            "The loop applies it with its next round.\n",
        )

    return present(session, outputs, show)
