"""Test the connection of saved profiles: DNS, TLS with certificate check, sign-in. Sends no mail.

If secrets are given (--secrets, or variables), they are used, as by apply; otherwise the
credentials in the store. With --manifests, the MailPlatform of these manifests is used, and a
relative caFile is relative to its manifest; otherwise the store's, and a relative caFile is
relative to the working directory. The exit status is 1 if a profile does not pass.

examples:
  sendroute test ses
  sendroute test acme/ses beta/mailgun -o json
  sendroute test --all --manifests manifests/
"""

from argparse import Namespace
from collections.abc import Iterable, Sequence
from typing import Any

from sendroute.cli.command_line import MANIFESTS, Parser, UsageError
from sendroute.cli.exit_status import ExitStatus
from sendroute.cli.options import TABLES, output_option, outputs_of
from sendroute.cli.output import present, worst
from sendroute.cli.session import Session
from sendroute.model.connection import ConnectionOutcome, TestResult
from sendroute.reports.as_json import document
from sendroute.reports.table import table
from sendroute.reports.text import Console, clean, paragraph, wrap


def options(parser: Parser) -> None:
    parser.add_argument(
        "profiles", nargs="*", metavar="PROFILE", help="NAME or NAMESPACE/NAME of a saved profile"
    )
    parser.switch("--all", help="test every saved profile")
    parser.value(
        "--manifests",
        metavar="PATH",
        type=MANIFESTS,
        action="append",
        help="use the MailPlatform of these manifests, not the store's; may be repeated",
    )
    output_option(parser, TABLES)


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.connection_tests import test_profiles

    if bool(arguments.profiles) == arguments.all:
        raise UsageError("Specify the profiles to test, or --all.")
    outputs = outputs_of(arguments)
    with session.factory.open_store() as store:
        results, policy = test_profiles(store, session, arguments.profiles, arguments.manifests)

    def show(form: str, console: Console) -> Iterable[str]:
        if form == "json":
            return document([("format_version", "1.0"), ("results", map(_entry, results))])
        return _text(results, console, lacks_manifest=policy.lacks_manifest)

    written = present(session, outputs, show)
    failed = any(result.outcome is not ConnectionOutcome.OK for result in results)
    return worst(ExitStatus.FAILED if failed else ExitStatus.FINE, written)


def _entry(result: TestResult) -> dict[str, Any]:
    return {
        "namespace": result.namespace,
        "profile": result.profile,
        "outcome": result.outcome.value,
        "detail": result.detail,
        "seconds": result.seconds,
        **({"advice": result.advice} if result.advice else {}),
    }


def _text(
    results: Sequence[TestResult], console: Console, *, lacks_manifest: bool
) -> Iterable[str]:
    """``lacks_manifest``: the caFile is relative to a manifest that was not given."""
    if not results:
        yield "No profiles.\n"
        return
    rows = [
        (f"{result.namespace}/{result.profile}", result.outcome.value, f"{result.seconds:.1f} s")
        for result in results
    ]
    head, *lines = table(("PROFILE", "OUTCOME", "TOOK"), rows, console=console)
    yield head
    first_of: dict[str, str] = {}
    for line, row, result in zip(lines, rows, results, strict=True):
        yield line
        text = f"{result.detail} {result.advice}" if result.advice else result.detail
        first = first_of.setdefault(text, row[0])
        if first != row[0] and result.outcome is not ConnectionOutcome.OK:
            text = f"As for {first}."  # thousands of profiles may fail for one reason
        yield from (f"{part}\n" for part in wrap(clean(text), 8, columns=console.columns))
    if lacks_manifest and any(item.outcome is ConnectionOutcome.TLS_FAILED for item in results):
        yield from paragraph("To give the manifest of the MailPlatform: --manifests PATH", console)
