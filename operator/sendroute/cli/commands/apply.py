"""Apply a tree of manifests, or a saved plan.

On a terminal, the plan is shown and must be confirmed; elsewhere, --auto-approve is required. A
saved plan needs no confirmation, and is refused if the decision would differ now.

examples:
  sendroute apply manifests/
  sendroute apply manifests/ --auto-approve --wait
  sendroute plan manifests/ --out change.plan && sendroute apply change.plan
  sendroute apply manifests/ --auto-approve --write-lock manifests/sendroute.lock
"""

from argparse import Namespace

from sendroute.cli.command_line import OUTPUT_FILE, Parser, UsageError, seconds
from sendroute.cli.confirm import shown_plan
from sendroute.cli.exit_status import of_result
from sendroute.cli.fast_exit import collector_off, retain
from sendroute.cli.options import (
    REPORTS,
    limit_options,
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
    limit_options(parser)
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
    from sendroute.cli.apply_plan import ApplyOptions, apply_planned
    from sendroute.cli.plan_source import (
        GuardOptions,
        PlanOptions,
        is_saved_plan_file,
        plan_paths,
        plan_saved,
    )
    from sendroute.store.record import open_store

    start_logs(session)
    limits = GuardOptions(
        arguments.max_change_percent,
        arguments.max_remove_percent,
        arguments.allow_older_tree,
    )
    saved = any(is_saved_plan_file(path) for path in arguments.paths)
    if saved:
        _alone(arguments)
    apply_options = ApplyOptions(
        approved=saved or arguments.auto_approve,
        wait=arguments.wait_timeout if arguments.wait else None,
        lock=arguments.write_lock,
    )
    with open_store(session.settings.store) as store:
        if saved:
            planned = plan_saved(store, session, arguments.paths[0], limits, apply_options.lock)
        else:
            options = PlanOptions(arguments.only, limits.guards(), apply_options.lock, saves=True)
            planned = plan_paths(store, session, arguments.paths, options)
        result, ended = apply_planned(session, store, planned, apply_options)
    locate = planned.source.locate
    shown = shown_plan(planned.plan, approved=apply_options.approved, locate=locate)
    written = present_report(session, arguments, report_of(result, locate=locate), shown)
    retain(planned, result)
    return ended or worst(of_result(result), written)


def _alone(arguments: Namespace) -> None:
    if len(arguments.paths) > 1:
        raise UsageError("A saved plan must be the only PATH.")
    if arguments.only:
        raise UsageError("A saved plan is applied completely: use --only with plan instead.")
