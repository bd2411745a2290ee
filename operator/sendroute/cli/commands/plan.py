"""Show what applying a tree of manifests would do, and why.

Nothing is changed. With --out the plan is saved: `sendroute apply FILE` then does exactly what was
shown, or refuses if the decision would differ. The exit status is that of `apply` with the same
options, 3 if a guard refuses, except for what `plan` does not check: it needs no secrets, and it
tests connections only with --test-connections.

examples:
  sendroute plan manifests/
  sendroute plan manifests/ --out change.plan && sendroute apply change.plan
  sendroute plan manifests/ --detailed-exitcode         status 2 if there are changes
  sendroute plan manifests/ --only acme -o markdown=plan.md
"""

from argparse import Namespace

from msgspec.structs import replace

from sendroute.cli.command_line import OUTPUT_FILE, Parser
from sendroute.cli.exit_status import of_findings, of_plan
from sendroute.cli.fast_exit import collector_off, retain
from sendroute.cli.options import (
    REPORTS,
    guard_options,
    limits_of,
    older_tree_option,
    only_option,
    output_option,
    paths_argument,
)
from sendroute.cli.output import present_report, worst
from sendroute.cli.session import Session, start_logs
from sendroute.reports.report import of_plan as report_of


def options(parser: Parser) -> None:
    paths_argument(parser)
    parser.value("--out", metavar="FILE", type=OUTPUT_FILE, help="save the plan for apply")
    parser.switch("--detailed-exitcode", help="exit with status 2 if changes are pending")
    only_option(parser)
    guard_options(parser)
    older_tree_option(parser)
    parser.switch(
        "--test-connections", help="also test the connections of new and changed profiles"
    )
    output_option(parser, REPORTS)


@collector_off()
def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.lookup import store_of
    from sendroute.cli.plan_source import PlanOptions, plan_paths, refuse_saved_plans, save_plan

    start_logs(session)
    refuse_saved_plans(arguments.paths)
    with store_of(arguments.paths, session) as store:
        options = PlanOptions(
            arguments.only,
            limits_of(arguments).guards(),
            test=arguments.test_connections,
            records=bool(arguments.out),
        )
        planned = plan_paths(store, session, arguments.paths, options)
    lost = save_plan(arguments.out, planned) if arguments.out else ()
    plan = planned.plan
    plan = replace(plan, findings=(*plan.findings, *lost)) if lost else plan
    report = report_of(plan, locate=planned.tree.locate)
    written = present_report(session, arguments, report)
    retain(planned, report)
    status = of_plan(plan, detailed=arguments.detailed_exitcode)
    return worst(status, of_findings(lost), written)
