"""``-o FORMAT`` and ``-o FORMAT=FILE``: results to standard output and into files.

Files are written before standard output, whose reader may go away; what cannot be written is a
finding of its own and hides nothing of the result.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from sendroute.cli.command_line import Parser, WrongUsageError, stderr_line, suggestion
from sendroute.cli.session import Session
from sendroute.model.exit_status import ExitStatus, most_severe, of_findings
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


def outputs_of(arguments: argparse.Namespace) -> list[Output]:
    """What was asked for; text on standard output where nothing else is to be there."""
    chosen: list[Output] = list(getattr(arguments, "output", None) or [])
    on_stdout = [each for each in chosen if each.path is None]
    if len(on_stdout) > 1:
        raise WrongUsageError("Only one -o can go to standard output: write the others -o FORMAT=FILE.")
    return chosen if on_stdout else [*chosen, Output("text", None)]


def present(session: Session, outputs: Sequence[Output], render: Render) -> ExitStatus:
    """Write a result wherever it is to be. What could not be written is told on standard error,
    and is the status returned."""
    lost: list[Finding] = []
    for form, path in outputs:
        if path is not None:
            lost += _into_file(path, render(form, False))
    for form, path in outputs:
        if path is None:
            lost += _onto_stdout(form, render(form, session.colours(sys.stdout)))
    tell(session, lost)
    return of_findings(lost)


def tell(session: Session, findings: Iterable[Finding]) -> None:
    """Findings for people, on standard error."""
    from sendroute.reports.as_text import finding_lines

    for found in findings:
        for line in finding_lines(found, session.colours(sys.stderr)):
            stderr_line(line)


def present_problem(
    session: Session, arguments: argparse.Namespace, findings: Sequence[Finding]
) -> ExitStatus:
    """A command that could not go on: told on standard error, and in every format asked for."""
    from sendroute.reports.render import Format, render
    from sendroute.reports.report import of_findings as report_of

    tell(session, findings)
    asked = [each for each in outputs_of(arguments) if each.form != "text" or each.path]
    report = report_of(findings)
    status = present(session, asked, lambda form, colour: render(report, Format(form), colour=colour))
    return most_severe(status, of_findings(findings))


def _into_file(path: str, chunks: Iterable[str]) -> Iterator[Finding]:
    from sendroute.cli.files import write_file
    from sendroute.model.problem import ProblemError

    try:
        write_file(path, "".join(chunks).encode("utf-8", "backslashreplace"))
    except ProblemError as problem:
        yield from problem.findings


def _onto_stdout(form: str, chunks: Iterable[str]) -> Iterator[Finding]:
    try:
        for chunk in chunks:
            if form == "text":
                sys.stdout.write(chunk)
            else:  # whatever the terminal's encoding: these formats are UTF-8
                sys.stdout.flush()
                sys.stdout.buffer.write(chunk.encode("utf-8", "backslashreplace"))
        sys.stdout.flush()
    except BrokenPipeError:
        abandon_stdout()
    except OSError as error:  # a full disk behind it
        from sendroute.cli.files import unwritable

        abandon_stdout()
        yield unwritable("standard output", error)


def abandon_stdout() -> None:
    """The reader went away (``| head``): what is still buffered goes nowhere, quietly.

    As the Python documentation advises under "Note on SIGPIPE" of the signal module.
    """
    import os

    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
