"""Present a result: on standard output and into files, as ``-o`` requested, and on standard error.

Files are written before standard output, whose reader may exit. An output that cannot be written is
reported as a separate finding, and the other outputs are still written.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from sendroute.cli.command_line import stderr_line
from sendroute.cli.exit_status import MOST_SEVERE_FIRST, ExitStatus, of_findings
from sendroute.cli.hints import with_hint
from sendroute.cli.options import REPORTS, Output, outputs_of, requested_outputs
from sendroute.cli.session import Session
from sendroute.files.reason import reason_of
from sendroute.files.regular import head_of
from sendroute.manifests.own_output import HEAD, is_own_output
from sendroute.model.codes import finding
from sendroute.model.finding import Finding, Severity
from sendroute.model.manifest_name import is_manifest
from sendroute.model.problem import ProblemError
from sendroute.model.userinfo import without_arguments
from sendroute.reports.as_text import finding_lines, findings_lines
from sendroute.reports.render import Format, render
from sendroute.reports.report import Report, of_ended
from sendroute.reports.text import PLAIN, Console, no_command, no_commands

Render = Callable[[str, Console], Iterable[str]]
"""A result in a format, for a console, in chunks."""


def present(session: Session, outputs: Sequence[Output], render: Render) -> ExitStatus:
    """Write a result to its outputs, and report failures on standard error.

    Args:
        session: settings and terminal.
        outputs: the formats, and the files or standard output.
        render: the result in a format, in chunks.

    Returns:
        The exit status of writing only: 1 if an output could not be written.
    """
    lost: list[Finding] = []
    for form, path in outputs:
        if path is not None:
            lost += _into_file(path, _inert(form, render(form, PLAIN)))
    for form, path in outputs:
        if path is None:
            chunks = _inert(form, render(form, session.terminal.console(sys.stdout)))
            lost += _onto_stdout(form, chunks)
    report_on_stderr(session, lost)
    return of_findings(lost)


def _inert(form: str, chunks: Iterable[str]) -> Iterable[str]:
    """The chunks without the user and the password of a URL in an argument; of a text also without
    a line that a build log takes for a command. Other formats have their own rules."""
    chunks = map(without_arguments, chunks)
    return map(no_commands, chunks) if form == "text" else chunks


def worst(*statuses: ExitStatus) -> ExitStatus:
    """The most severe of several exit statuses."""
    return next(status for status in MOST_SEVERE_FIRST if status in statuses)


def report_on_stderr(
    session: Session, findings: Iterable[Finding], paths: Sequence[str] = ()
) -> None:
    """Report findings on standard error. ``paths`` are the manifests, if they are known."""
    hinted = (with_hint(item, paths) for item in findings)
    for line in findings_lines(hinted, session.terminal.console(sys.stderr)):
        stderr_line(no_command(line))


def manifests_of(arguments: argparse.Namespace) -> Sequence[str]:
    """The directories and files of manifests that a command was given, to repeat in a hint: none if
    one is standard input or may be something else, such as a saved plan."""
    return manifests_among(getattr(arguments, "paths", ()))


def manifests_among(paths: Sequence[str]) -> Sequence[str]:
    """The given paths, if all are directories and files of manifests; otherwise none: one may be a
    saved plan."""
    # pathlib would be loaded for this alone when nothing is wrong.
    known = all(
        os.path.isdir(path)  # noqa: PTH112
        or (is_manifest(path) and not is_own_output(head_of(path, HEAD)))
        for path in paths
    )
    return paths if known else ()


def present_report(
    session: Session,
    arguments: argparse.Namespace,
    report: Report,
    shown: Report | None = None,
) -> ExitStatus:
    """Present a report.

    Args:
        session: settings and terminal.
        arguments: the requested outputs.
        report: the report.
        shown: the report of the plan, if the terminal shows it just above. It is not repeated
            there, but it is part of every file.

    Returns:
        The exit status of writing only: 1 if a file could not be written.
    """
    advise = partial(with_hint, paths=manifests_of(arguments))
    report = report.advised(advise)
    above = None if shown is None else shown.advised(advise)

    def show(form: str, console: Console) -> Iterable[str]:
        if form == "text" and session.terminal.quiet:
            return _problems_only(report, console)
        at_terminal = console.columns is not None
        return render(report, Format(form), console=console, shown=above if at_terminal else None)

    return present(session, outputs_of(arguments), show)


def report_chunks(session: Session, report: Report, paths: Sequence[str] = ()) -> Iterable[str]:
    """A report as text for standard error. ``paths`` are the manifests, if they are known."""
    console = session.terminal.console(sys.stderr)
    advised = report.advised(partial(with_hint, paths=manifests_among(paths)))
    return render(advised, Format.TEXT, console=console)


def present_problem(
    session: Session, arguments: argparse.Namespace, findings: Sequence[Finding], command: str
) -> ExitStatus:
    """Report why a command ended, on standard error and in every requested format. ``command`` is
    its name."""
    paths = manifests_of(arguments)
    report_on_stderr(session, findings, paths)
    requested = [output for output in requested_outputs(arguments) if _is_report(output)]
    report = of_ended(findings, command).advised(partial(with_hint, paths=paths))
    status = present(
        session, requested, lambda form, console: render(report, Format(form), console=console)
    )
    return worst(status, of_findings(findings))


def _problems_only(report: Report, console: Console) -> Iterable[str]:
    problems = (item for item in report.findings if item.severity is not Severity.INFO)
    for line in findings_lines(problems, console):
        yield no_command(line) + "\n"


def _is_report(output: Output) -> bool:
    """Whether an output is a report. Text on standard output is not: it is on standard error."""
    return output.form in REPORTS and (output.form != "text" or output.path is not None)


def _into_file(path: str, chunks: Iterable[str]) -> Iterator[Finding]:
    from sendroute.reports.write import write

    try:
        write(path, chunks)
    except ProblemError as problem:
        yield from problem.findings


def _onto_stdout(form: str, chunks: Iterable[str]) -> Iterator[Finding]:
    try:
        sys.stdout.flush()
        for chunk in chunks:
            if form == "text":
                sys.stdout.write(chunk)
            else:  # these formats are UTF-8, independent of the terminal's encoding
                sys.stdout.buffer.write(chunk.encode("utf-8", "backslashreplace"))
        sys.stdout.flush()
    except OSError as error:
        abandon_stdout()
        yield from _lost(error, "Free space there, or write to a file: -o FORMAT=FILE.")


def stdout_failed(error: OSError) -> ExitStatus:
    """Report on standard error that a text which has no other format could not be written.

    Returns:
        The exit status.
    """
    abandon_stdout()
    lost = list(_lost(error, "Free space there."))
    for item in lost:
        for line in finding_lines(item):
            stderr_line(line)
    return of_findings(lost)


def _lost(error: OSError, hint: str) -> Iterator[Finding]:
    if not isinstance(error, BrokenPipeError):  # its reader has exited, and wants no more
        yield finding(
            "unwritable",
            f"Standard output could not be written: {reason_of(error)}.",
            hint=hint,
        )


def abandon_stdout() -> None:
    """Discard the buffered output, because its reader has exited (``| head``).

    As the Python documentation advises under "Note on SIGPIPE" of the signal module.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
