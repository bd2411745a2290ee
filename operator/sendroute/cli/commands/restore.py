"""Restore the store from a backup or a lock file.

If there is no store, it is created, as by `init --from-backup` or `--from-lock`. If there is one
of the same lineage, its accounts, profiles, domains and their routes become what they were then:
one change, shown and confirmed like a plan. Its history continues, and the ids of apply-alls that
ran since stay used. The manifests are not read; the next plan compares them with the store.

examples:
  sendroute restore monday.db
  sendroute restore monday.db --auto-approve -o json
  sendroute restore manifests/sendroute.lock     after `init --from-backup` of an older backup
"""

from argparse import Namespace
from functools import partial
from pathlib import Path

from sendroute.cli.command_line import INPUT_FILE, Parser, UsageError
from sendroute.cli.confirm import RESTORE, confirm_plan, shown_plan
from sendroute.cli.exit_status import of_result
from sendroute.cli.options import REPORTS, output_option, outputs_of
from sendroute.cli.output import present_report, worst
from sendroute.cli.session import Session, start_logs
from sendroute.reports.report import of_result as report_of


def options(parser: Parser) -> None:
    parser.add_argument("file", metavar="FILE", type=INPUT_FILE, help="a backup, or a lock file")
    parser.switch("--auto-approve", help="restore without confirmation")
    output_option(parser, REPORTS)


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.stores import create_from, restore_from

    start_logs(session)
    path = Path(arguments.file)
    store = session.factory.store_if_exists()
    if store is None:
        if {output.form for output in outputs_of(arguments)} != {"text"}:
            raise UsageError("There is no store yet, so -o has nothing to report on.")
        return create_from(session, path)
    confirm = partial(confirm_plan, session, RESTORE, approved=arguments.auto_approve)
    with store:
        result = restore_from(store, path, confirm)
    shown = shown_plan(result.plan, approved=arguments.auto_approve)
    written = present_report(session, arguments, report_of(result, command="restore"), shown)
    return worst(of_result(result), written)
