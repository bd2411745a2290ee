"""Compare a running Postfix with what `config` writes, and with what `explain` says.

Every domain of the store is looked up in the tables as Postfix does it (`postmap -q`), and each
difference is named. Nothing is changed, and no mail is sent.

examples:
  sendroute postfix check --dir /var/lib/sendroute
  sendroute postfix check --dir /var/lib/sendroute -o json
"""

from argparse import Namespace
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING

from msgspec import UNSET

from sendroute.cli.command_line import Parser
from sendroute.cli.exit_status import of_findings
from sendroute.cli.options import TABLES, output_option
from sendroute.cli.output import present_report, worst
from sendroute.cli.postfix_options import postfix_options
from sendroute.cli.session import Session
from sendroute.delivery.explain import explain_domain, explain_null_sender
from sendroute.delivery.sender import NULL_SENDER, domain_keys
from sendroute.model.finding import Finding
from sendroute.model.records import ExplainFacts
from sendroute.model.route import RouteKind
from sendroute.postfix.changes import differences, findings_of
from sendroute.postfix.check import (
    SenderLookup,
    check_running,
    check_sign_in,
    check_tables,
    compare,
    surplus,
)
from sendroute.postfix.files import absolute
from sendroute.postfix.installed import Postfix
from sendroute.postfix.parameters import usable
from sendroute.reports.report import of_findings as report_of

if TYPE_CHECKING:
    from sendroute.store.record import Store

_SHOWN = 100


def options(parser: Parser) -> None:
    postfix_options(parser)
    output_option(parser, TABLES)


def run(arguments: Namespace, session: Session) -> int:
    directory = absolute(arguments.dir)
    postfix = Postfix(arguments.postfix_config_dir)
    with session.factory.open_store() as store:
        findings = list(_differences(postfix, directory, store))
    report = report_of(findings, command="postfix check")
    return worst(present_report(session, arguments, report), of_findings(findings))


def _differences(postfix: Postfix, directory: str, store: "Store") -> Iterator[Finding]:
    yield from postfix.missing_requirements()
    platform = usable(store.read(()).platform)
    yield from findings_of(differences(postfix, directory, platform), postfix, directory)
    yield from check_running(postfix, directory)
    if missing := check_tables(directory):
        yield from missing
        return
    yield from check_sign_in(postfix, directory)
    known: set[str] = set()
    answers = compare(postfix, directory, _noted(_senders(store), known))
    yield from islice(chain(answers, surplus(directory, known)), _SHOWN)


def _noted(senders: Iterable[SenderLookup], known: set[str]) -> Iterator[SenderLookup]:
    for sender in senders:
        known.add(sender.key)
        yield sender


def _senders(store: "Store") -> Iterator[SenderLookup]:
    """Every sender of the store, and the null sender, explained."""
    platform = store.explain_facts("")
    yield SenderLookup(NULL_SENDER, explain_null_sender(platform))
    profiles = {(profile.account, profile.name): profile for profile in store.profiles()}
    logins = store.logins()
    with store.route_stream() as stream:
        for row in stream.rows:
            is_profile = row.state.route.kind is RouteKind.PROFILE
            name = row.state.route.profile
            stored = profiles.get((row.account, name or "")) if is_profile else None
            facts = ExplainFacts(
                platform.revision,
                platform.platform,
                platform.platform_version,
                row=row,
                profile=stored,
                logins=logins.get(row.account, UNSET),
            )
            explanation = explain_domain(row.domain, row.domain, facts)
            for key in domain_keys(row.domain):
                yield SenderLookup(key, explanation)
