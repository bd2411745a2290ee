"""Present a report in every requested format, and as text on the terminal."""

import argparse
import sys
from collections.abc import Iterable

from sendroute.cli.hints import with_hint
from sendroute.cli.output import outputs_of, present
from sendroute.cli.session import Session
from sendroute.model.exit_status import ExitStatus
from sendroute.model.finding import Severity
from sendroute.reports.render import Format, render
from sendroute.reports.report import Report


def present_report(session: Session, arguments: argparse.Namespace, report: Report) -> ExitStatus:
    """Present a report. Returns the exit status of writing alone: 1 if a file could not be
    written."""
    report = report.advised(with_hint)

    def show(form: str, colour: bool) -> Iterable[str]:
        if form == "text" and session.terminal.quiet:
            return _problems_only(report, colour)
        return render(report, Format(form), colour=colour)

    return present(session, outputs_of(arguments), show)


def show_on_stderr(session: Session, report: Report) -> None:
    """Show what is to be confirmed, on the terminal."""
    for chunk in render(
        report.advised(with_hint), Format.TEXT, colour=session.terminal.colours(sys.stderr)
    ):
        sys.stderr.write(chunk)


def _problems_only(report: Report, colour: bool) -> Iterable[str]:
    from sendroute.reports.as_text import finding_lines

    for found in report.findings:
        if found.severity is not Severity.INFO:
            for line in finding_lines(found, colour):
                yield line + "\n"
