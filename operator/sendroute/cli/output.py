"""``-o FORMAT`` and ``-o FORMAT=FILE``: results to standard output and into files.

Files are written before standard output, whose reader may go away; what cannot be written is a
finding of its own and hides nothing of the result.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from sendroute.cli.command_line import Parser, WrongUsageError, stderr_line, suggestion
from sendroute.cli.session import Session
from sendroute.model.exit_status import MOST_SEVERE_FIRST, ExitStatus, of_findings
from sendroute.model.finding import Finding

REPORTS = ("text", "json", "markdown", "html", "github", "sarif", "junit")
TABLES = ("text", "json")


class Output(NamedTuple):
    """``path`` is None for standard output."""

    form: str
    path: str | None


Render = Callable[[str, bool], Iterable[str]]
"""A result in a format, coloured or not, in chunks."""


def output_option(parser: Parser, forms: Sequence[str]) -> None:
    def read(text: str) -> Output:
        form, equals, path = text.partition("=")
        if form not in forms:
            raise argparse.ArgumentTypeError(
                f"`{form}` is none of {', '.join(forms)}.{suggestion(form, forms)}".rstrip(".")
            )
        if equals and not path:
            raise argparse.ArgumentTypeError(f"`{text}` names no file")
        return Output(form, path or None)

    parser.value(
        "-o",
        "--output",
        metavar="FORMAT[=FILE]",
        type=read,
        action="append",
        help=f"{', '.join(forms)}; may be repeated",
    )
    parser.check(_check_outputs)


def outputs_of(arguments: argparse.Namespace) -> list[Output]:
    """What was asked for; text on standard output where nothing else is to be there."""
    chosen = outputs_asked_for(arguments)
    if any(each.path is None for each in chosen):
        return chosen
    return [*chosen, Output("text", None)]


def outputs_asked_for(arguments: argparse.Namespace) -> list[Output]:
    return list(getattr(arguments, "output", None) or [])


def _check_outputs(arguments: argparse.Namespace) -> None:
    """Raises :class:`WrongUsageError` for two results on standard output or in one file: the second
    would replace the first."""
    chosen = outputs_asked_for(arguments)
    if sum(each.path is None for each in chosen) > 1:
        raise WrongUsageError(
            "Only one -o can go to standard output: write the others -o FORMAT=FILE."
        )
    others = (getattr(arguments, name, None) for name in ("out", "write_lock"))
    seen: set[str] = set()
    for path in [*others, *(each.path for each in chosen)]:
        if path is None or path == os.devnull:
            continue
        resolved = os.path.realpath(path)
        if resolved in seen:
            raise WrongUsageError(
                f"`{path}` would be written twice: give each result its own file."
            )
        seen.add(resolved)


def present(session: Session, outputs: Sequence[Output], render: Render) -> ExitStatus:
    """Write a result to its outputs. Returns the exit status of writing alone; what could not be
    written is reported on standard error."""
    lost: list[Finding] = []
    for form, path in outputs:
        if path is not None:
            lost += _into_file(path, render(form, False))
    for form, path in outputs:
        if path is None:
            lost += _onto_stdout(form, render(form, session.terminal.colours(sys.stdout)))
    report_on_stderr(session, lost)
    return of_findings(lost)


def worst(*statuses: ExitStatus) -> ExitStatus:
    """With several reasons the most severe is the exit status."""
    return next(status for status in MOST_SEVERE_FIRST if status in statuses)


def report_on_stderr(session: Session, findings: Iterable[Finding]) -> None:
    """Report findings on standard error."""
    from sendroute.cli.hints import with_hint
    from sendroute.reports.as_text import finding_lines

    for found in findings:
        for line in finding_lines(with_hint(found), session.terminal.colours(sys.stderr)):
            stderr_line(line)


def present_problem(
    session: Session, arguments: argparse.Namespace, findings: Sequence[Finding]
) -> ExitStatus:
    """Report why a command ended, on standard error and in every requested format."""
    from sendroute.cli.hints import with_hint
    from sendroute.reports.render import Format, render
    from sendroute.reports.report import of_findings as report_of

    report_on_stderr(session, findings)
    requested = [each for each in getattr(arguments, "output", None) or () if _is_report(each)]
    report = report_of(findings).advised(with_hint)
    status = present(
        session, requested, lambda form, colour: render(report, Format(form), colour=colour)
    )
    return worst(status, of_findings(findings))


def _is_report(output: Output) -> bool:
    """Whether it is a report. Text on a terminal is on standard error already."""
    return output.form in REPORTS and (output.form != "text" or output.path is not None)


def _into_file(path: str, chunks: Iterable[str]) -> Iterator[Finding]:
    from sendroute.model.problem import ProblemError
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
            else:  # whatever the terminal's encoding: these formats are UTF-8
                sys.stdout.buffer.write(chunk.encode("utf-8", "backslashreplace"))
        sys.stdout.flush()
    except BrokenPipeError:
        abandon_stdout()
    except OSError as error:  # a full disk behind it
        from sendroute.model.codes import finding

        abandon_stdout()
        yield finding(
            "unwritable",
            f"Standard output could not be written: {error.strerror or 'input/output'}.",
            hint="Free space there, or write to a file: -o FORMAT=FILE.",
        )


def abandon_stdout() -> None:
    """The reader is gone (``| head``): discard what is still buffered.

    As the Python documentation advises under "Note on SIGPIPE" of the signal module.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
