"""Rewrite declared routes to the routes assigned in the store; comments and layout are kept.

After an apply-all or a reassignment, a domain may have another route than its manifest declares.
Domains without a declared route stay so, and changes since the last apply are never overwritten.
An inline profile moves to its own document.

--check writes nothing and lists what would be rewritten: exit status 1 if there is anything.

examples:
  sendroute sync manifests/
  sendroute sync manifests/ --dry-run
  sendroute sync manifests/ --check -o github
"""

from argparse import Namespace
from typing import TYPE_CHECKING

from sendroute.cli.command_line import Parser, UsageError
from sendroute.cli.exit_status import ExitStatus, of_findings
from sendroute.cli.lookup import store_beside
from sendroute.cli.options import REPORTS, TABLES, output_option, paths_argument, refuse_stdin
from sendroute.cli.output import present_report, report_on_stderr, worst
from sendroute.cli.session import Session
from sendroute.edit.proposal import Proposal
from sendroute.edit.sync import sync
from sendroute.model.codes import finding
from sendroute.model.remedy import Perform, Task
from sendroute.reports.report import of_findings as report_of

if TYPE_CHECKING:
    from sendroute.cli.edit_session import EditSession


def options(parser: Parser) -> None:
    paths_argument(parser, also="")
    parser.switch("--check", help="write nothing; exit with status 1 if something differs")
    parser.switch("--dry-run", help="print the difference and write nothing")
    output_option(parser, REPORTS)


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.edit_session import editing

    forms = {output.form for output in arguments.output or ()}
    if not arguments.check and not forms <= set(TABLES):
        raise UsageError(f"Without --check, -o takes {' or '.join(TABLES)}.")
    refuse_stdin(arguments.paths)
    with store_beside(arguments.paths, session) as store:
        current = store.read()
    with editing(arguments, session) as edit:
        proposal = sync(edit.tree, current.accounts)
        if arguments.check:
            return _check(arguments, session, edit, proposal)
        report_on_stderr(session, edit.with_positions(edit.unread))
        return worst(ExitStatus(edit.finish(proposal)), of_findings(edit.unread))


def _check(arguments: Namespace, session: Session, edit: "EditSession", proposal: Proposal) -> int:
    """Report what would be rewritten. The exit status is then 1, as of other programs with a check
    mode; 2 means pending changes of a store, and only with --detailed-exitcode."""
    findings = [
        finding(
            "out-of-sync",
            f"The manifest and the store differ; {change.message}.",
            hint="Rewrite the manifest.",
            remedy=Perform(Task.SYNC),
            where=change.where,
        )
        for change in proposal.changes
    ]
    files = dict.fromkeys(change.where.file for change in proposal.changes if change.where)
    findings += edit.not_written(files)
    findings = edit.with_positions([*findings, *proposal.notes, *edit.unread])
    written = present_report(session, arguments, report_of(findings, command="sync"))
    return worst(of_findings(findings), written)
