"""Apply a tree of manifests, or a saved plan.

On a terminal, the plan is shown and must be confirmed; elsewhere, --auto-approve is required. A
saved plan needs no confirmation, and is refused if the decision would differ now. It keeps the
limits that it was made with; an option here replaces one of them, and lets a change through that a
guard refused when the plan was made.

examples:
  sendroute apply manifests/
  sendroute apply manifests/ --auto-approve --wait
  sendroute plan manifests/ --out change.plan && sendroute apply change.plan
  sendroute apply change.plan --max-change-percent 60
  sendroute apply manifests/ --auto-approve --write-lock manifests/sendroute.lock
"""

from argparse import Namespace

from sendroute.cli.command_line import OUTPUT_FILE, Parser, UsageError, seconds
from sendroute.cli.confirm import shown_plan
from sendroute.cli.exit_status import of_result
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
from sendroute.reports.report import of_result as report_of


def options(parser: Parser) -> None:
    paths_argument(parser, also=", or one saved plan; - is standard input")
    parser.switch("--auto-approve", help="apply without confirmation")
    only_option(parser)
    guard_options(parser)
    older_tree_option(parser)
    parser.switch("--wait", help="wait until every live relay serves the change")
    parser.value(
        "--wait-timeout",
        metavar="TIME",
        type=seconds,
        default=60.0,
        help="how long to wait at most (default 60s)",
    )
    parser.value(
        "--write-lock",
        metavar="FILE",
        type=OUTPUT_FILE,
        help="write the assigned routes to a lock file, to keep beside the manifests",
    )
    output_option(parser, REPORTS)


@collector_off()
def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.apply_plan import ApplyOptions, apply_paths, apply_saved, has_saved_plan

    start_logs(session)
    saved = has_saved_plan(arguments.paths)
    if saved:
        _alone(arguments)
    limits = limits_of(arguments)
    options = ApplyOptions(
        approved=saved or arguments.auto_approve,
        wait=arguments.wait_timeout if arguments.wait else None,
        lock=arguments.write_lock,
    )
    if saved:
        planned, result, stop_status = apply_saved(session, arguments.paths[0], limits, options)
    else:
        planned, result, stop_status = apply_paths(
            session, arguments.paths, arguments.only, limits.guards(), options
        )
    locate = planned.tree.locate
    shown = shown_plan(planned.plan, approved=options.approved, locate=locate)
    written = present_report(session, arguments, report_of(result, locate=locate), shown)
    retain(planned, result)
    return stop_status or worst(of_result(result), written)


def _alone(arguments: Namespace) -> None:
    if len(arguments.paths) > 1:
        raise UsageError("A saved plan must be the only PATH.")
    if arguments.only:
        raise UsageError("A saved plan is applied completely: use --only with plan instead.")
