"""Write the Postfix side of the relay into a directory; with --install, add it to a Postfix.

DIR gets `main.cf` and `master.cf` with what must be added to Postfix's own, each parameter with the
page of the manual that explains it, and the definitions of the lookup tables.

--install adds it by postconf. Run again, it changes nothing. A parameter that a user set to
another value is never replaced without `--replace NAME`; then nothing is changed at all, and the
exit status is 3. So it is if a service of smtpd in master.cf overrides a restriction. What
--install set itself before is replaced, for example after clients began to sign in.

examples:
  sendroute postfix config --dir /var/lib/sendroute
  sendroute postfix config --dir /var/lib/sendroute --install
  sendroute postfix config --dir /var/lib/sendroute --install --replace default_transport
"""

from argparse import Namespace
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sendroute.cli.command_line import Parser, UsageError, suggestion
from sendroute.cli.exit_status import of_findings
from sendroute.cli.options import TABLES, output_option, outputs_of
from sendroute.cli.output import present, report_on_stderr, worst
from sendroute.cli.postfix_options import platform_of, postfix_options
from sendroute.cli.session import Session
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError
from sendroute.postfix.changes import PostfixChange, differences, make, refusals
from sendroute.postfix.files import absolute, files, write
from sendroute.postfix.installed import Postfix
from sendroute.postfix.parameters import main_parameters
from sendroute.reports.as_json import document
from sendroute.reports.table import pairs
from sendroute.reports.text import Console, paragraph


def options(parser: Parser) -> None:
    postfix_options(parser)
    parser.switch("--install", help="add it to Postfix's main.cf and master.cf by postconf")
    parser.add_argument(
        "--replace",
        metavar="NAME",
        action="append",
        default=[],
        help="replace this parameter (or SERVICE/TYPE/chroot) of a user; may be repeated",
    )
    output_option(parser, TABLES)


def run(arguments: Namespace, session: Session) -> int:
    outputs = outputs_of(arguments)
    directory = absolute(arguments.dir)
    _check_replaced(arguments, {parameter.name for parameter in main_parameters(directory)})
    platform = platform_of(session)
    contents = files(directory, platform)
    changes: Sequence[PostfixChange] = ()
    notes: Sequence[Finding] = ()
    if arguments.install:
        postfix = Postfix(arguments.postfix_config_dir)
        missing = postfix.missing_requirements()
        differing = differences(postfix, directory, platform, arguments.replace)
        if refused := [*missing, *refusals(differing)]:
            raise ProblemError(*refused, *differing.others)
        changes, notes = differing.changes, differing.others
    written = write(directory, contents)
    if changes:
        make(postfix, directory, changes)
    report_on_stderr(session, notes)

    def show(form: str, console: Console) -> Iterable[str]:
        if form == "json":
            return document(_document(directory, written, changes))
        return _text(directory, written, changes, console, installed=arguments.install)

    return worst(present(session, outputs, show), of_findings(notes))


def _check_replaced(arguments: Namespace, known: Collection[str]) -> None:
    """Raises :class:`UsageError` for a name that ``--install`` never sets: it would be ignored."""
    if arguments.replace and not arguments.install:
        raise UsageError("--replace is for --install, which is not given.")
    for name in arguments.replace:
        service = name.removesuffix("/chroot")
        if name not in known and (service == name or service.count("/") != 1):
            raise UsageError(
                f"`{name}` is no parameter that --install sets.{suggestion(name, known)}"
            )


def _document(
    directory: str, written: Sequence[str], changes: Sequence[PostfixChange]
) -> Iterable[tuple[str, Any]]:
    yield "format_version", "1.0"
    yield "directory", directory
    yield "written", list(written)
    yield "changes", [change.as_document() for change in changes]


def _text(
    directory: str,
    written: Sequence[str],
    changes: Sequence[PostfixChange],
    console: Console,
    *,
    installed: bool,
) -> Iterable[str]:
    lines = [("wrote", f"{directory}/{name}") for name in written]
    lines += [_change(change) for change in changes]
    if lines:
        yield from pairs(lines, console)
    if not written and not changes:
        yield "Nothing to change.\n"
    elif not installed:
        yield from paragraph(
            "Add main.cf and master.cf to Postfix's own, or let --install do it.", console
        )
    elif any(change.name == "import_environment" for change in changes):
        yield from paragraph(
            "Start the relay's agent, then restart Postfix: it reads its environment only then.",
            console,
        )
    elif changes:
        yield from paragraph("Reload Postfix, so that it takes effect: postfix reload", console)


def _change(change: PostfixChange) -> tuple[str, str]:
    was = f" (was `{change.before}`)" if change.before else ""
    if change.name.count("/") == 1:
        differing = ", ".join(name.rpartition("/")[2] for name, _, _ in change.differing)
        return "service", f"{change.name}{f' (changed: {differing})' if differing else ''}"
    return "set", f"{change.name} = {change.after}{was}"
