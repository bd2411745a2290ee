"""Show the route that mail from an address or a domain takes, and why.

The sender is an envelope sender: user@domain, <user@domain>, a domain, or <> for the null sender
of bounces. Internationalised domains may be written in both forms.

examples:
  sendroute explain jane@shop.example.com
  sendroute explain bücher.example -o json
  sendroute explain '<>'
"""

from argparse import Namespace
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sendroute.cli.command_line import Parser
from sendroute.cli.hints import leave_shadow
from sendroute.cli.options import TABLES, output_option, outputs_of
from sendroute.cli.output import present
from sendroute.cli.session import Session
from sendroute.delivery.explain import Explanation, explain_domain, explain_null_sender
from sendroute.delivery.sender import read_sender
from sendroute.manifests.names import InvalidNameError, domain_name
from sendroute.model.times import to_minute
from sendroute.reports.as_json import document
from sendroute.reports.table import pairs
from sendroute.reports.text import Page, clean, wrap

if TYPE_CHECKING:
    from sendroute.store.record import Store


def options(parser: Parser) -> None:
    parser.add_argument("sender", metavar="ADDRESS-or-DOMAIN", help="the envelope sender")
    output_option(parser, TABLES)


def run(arguments: Namespace, session: Session) -> int:
    outputs = outputs_of(arguments)
    with session.factory.open_store() as store:
        answer = _explain(arguments.sender, store)
        is_read = bool(store.relays())

    def show(form: str, page: Page) -> Iterable[str]:
        if form == "json":
            return document(answer.as_document().items())
        return _text(answer, page, is_read=is_read)

    return present(session, outputs, show)


def _explain(text: str, store: "Store") -> Explanation:
    sender = read_sender(text)
    if sender.domain is None:
        return explain_null_sender(store.explain_facts(""))
    try:
        domain = domain_name(sender.domain)
    except InvalidNameError:  # no manifest can declare it, so no account has it
        domain = sender.domain.lower()
    return explain_domain(sender.address, domain, store.explain_facts(domain))


def _text(answer: Explanation, page: Page, *, is_read: bool) -> Iterable[str]:
    """``is_read``: a relay reads the store."""
    lines = [("sender", answer.address)]
    row, to, assignment = answer.row, answer.nexthop, answer.assignment
    if row is not None:
        lines += [
            ("account", str(row.account)),
            ("route", str(row.state.route)),
            ("origin", row.state.origin.value),
            ("since", to_minute(row.since)),
        ]
    if assignment is not None:
        commit = f", commit {assignment.source_commit}" if assignment.source_commit else ""
        lines.append(("given by", f"revision {assignment.revision}, {assignment.actor}{commit}"))
    if to is not None:
        secret = f"secret {to.namespace}/{to.secret}" if to.secret else "none"
        lines += [
            ("transport", to.transport),
            ("host", f"{to.host}:{to.port}, {to.encryption}"),
            ("credentials", secret),
        ]
    if answer.service is not None:
        ports = " or ".join(f"{port.port} ({port.encryption})" for port in answer.service.ports)
        lines.append(("users configure", f"{answer.service.host}, port {ports}"))
    if row is not None and to is not None:
        lines.append(("clients", ", ".join(answer.logins or ("any authenticated client",))))
    if answer.limits:
        limits = ", ".join(f"{name} {limit}" for name, limit in answer.limits.items())
        lines.append(("limits", f"{limits} (recorded, not enforced yet)"))
    yield from pairs(lines, page)
    for line in wrap(clean(answer.reason), 0, columns=page.columns):
        yield line + "\n"
    if row is not None and row.state.is_shadowed:
        for line in wrap(clean(leave_shadow(row.domain, row.state)), 0, columns=page.columns):
            yield line + "\n"
    if row is not None and not is_read:
        yield "The route is recorded; no relay reads this store yet.\n"
