"""Report every problem in a tree of manifests in one run. Reads files only.

With --base, reroutes are not counted for an account that has an applyToAll at that revision: which
domains it switched, only a store knows.

examples:
  sendroute validate manifests/
  sendroute validate manifests/ --base origin/main      what a change would break
  sendroute validate manifests/ --strict -o github      warnings fail; annotations
  sendroute validate manifests/ --policy policy.yaml -o sarif=problems.sarif
"""

import sys
from argparse import Namespace
from collections.abc import Iterator

from msgspec.structs import replace

from sendroute.cli.command_line import INPUT_FILE, Parser, UsageError
from sendroute.cli.exit_status import of_findings
from sendroute.cli.fast_exit import collector_off, retain
from sendroute.cli.lookup import read_tree
from sendroute.cli.options import REPORTS, output_option, paths_argument
from sendroute.cli.output import present_report, worst
from sendroute.cli.session import Session
from sendroute.git.repository import is_top
from sendroute.manifests.sources import FileSource
from sendroute.manifests.tree import raw_documents, read_base
from sendroute.model.codes import Code, Trait, has_trait
from sendroute.model.desired import Desired
from sendroute.model.finding import Finding, Severity
from sendroute.planner.offline import check_tree
from sendroute.reports.progress import waiting
from sendroute.reports.report import of_findings as report_of
from sendroute.store.lock_guard import locks_of

_IN_BASE = "The base revision is not known whole. "


def options(parser: Parser) -> None:
    paths_argument(parser)
    parser.value(
        "--base",
        metavar="REV",
        help="compare with this git revision: deletions, and what a guard would refuse, are"
        " warnings",
    )
    parser.switch("--strict", help="exit with status 1 on warnings")
    parser.value(
        "--policy",
        metavar="FILE",
        type=INPUT_FILE,
        action="append",
        help="a JSON Schema that every document must satisfy, of at most 1 MiB; it has 5 s of"
        " processor time and 10 ms more for each document; may be repeated",
    )
    output_option(parser, REPORTS)


@collector_off()
def run(arguments: Namespace, session: Session) -> int:
    if arguments.base and "-" in arguments.paths:
        raise UsageError("Standard input has no git revision: use --base with files only.")
    tree = read_tree(arguments.paths, session)
    base = read_base(arguments.base, arguments.paths) if arguments.base else None
    with waiting("Checking", sys.stderr, quiet=session.terminal.quiet):
        findings = [*check_tree(tree.desired, base), *_of_lock_files(arguments.paths)]
    findings += _unknown_of(base)
    if arguments.policy:
        findings += _against_policies(arguments.policy, tree.files, findings)
    tree.locate.expect(finding.where for finding in findings)
    report = report_of(findings, strict=arguments.strict, locate=tree.locate)
    written = present_report(session, arguments, report)
    retain(tree, report)
    return worst(of_findings(findings, strict=arguments.strict), written)


def _unknown_of(base: Desired | None) -> Iterator[Finding]:
    """What of the base revision is not known. It is information, because the tree may be right,
    and a change that corrects the base must pass."""
    for item in base.findings if base is not None else ():
        if has_trait(item.code, Trait.UNREAD):
            yield replace(item, severity=Severity.INFO, message=f"{_IN_BASE}{item.message}")


def _of_lock_files(paths: list[str]) -> Iterator[Finding]:
    """What is wrong with the lock files beside the manifests, without a store."""
    for lock in locks_of(paths, is_top):
        if lock.header is None:
            yield from lock.findings
            continue
        # With SQLAlchemy, which a tree without a lock file does not need.
        from pathlib import Path

        from sendroute.store import lockfile

        yield from lockfile.faults(Path(lock.path))


def _against_policies(
    policies: list[str], files: FileSource, known: list[Finding]
) -> list[Finding]:
    from sendroute.manifests.policy import check, load_policies

    usable, findings = load_policies(policies)
    bugs: list[Finding] = []
    findings += check(usable, raw_documents(files, bugs))
    # What reads the tree may have met the same bug in the same file.
    met = {item.where.file for item in known if item.code == Code.INTERNAL_ERROR and item.where}
    return findings + [bug for bug in bugs if bug.where is None or bug.where.file not in met]
