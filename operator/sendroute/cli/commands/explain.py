"""Show the route that mail from an address or a domain takes, or that a message took, and why.

The sender is an envelope sender: user@domain, <user@domain>, a domain, or <> for the null sender
of bounces. Internationalised domains may be written in both forms.

With --message the route of one message is read from Postfix's log: which nexthop took it, the
profile and its version, and since which commit, also if the profile was replaced since.

examples:
  sendroute explain jane@shop.example.com
  sendroute explain bücher.example -o json
  sendroute explain '<>'
  sendroute explain --message 4F2A81C0B7
  journalctl -u 'postfix*' | sendroute explain --message 4F2A81C0B7 --log -
"""

import argparse
from argparse import Namespace
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from sendroute.cli.command_line import Parser, PathType, UsageError
from sendroute.cli.explain_message import LOG, as_text, explain_message, logged_message
from sendroute.cli.given_options import with_given_options
from sendroute.cli.hints import leave_shadow, with_hint
from sendroute.cli.options import TABLES, Output, output_option, outputs_of
from sendroute.cli.output import present
from sendroute.cli.session import Session
from sendroute.delivery.explain import Explanation, explain_domain, explain_null_sender
from sendroute.delivery.pending import PendingChange, pending_change
from sendroute.delivery.sender import read_sender
from sendroute.manifests.names import InvalidNameError, domain_name
from sendroute.model.owner import PLATFORM, Owner, owner_names
from sendroute.model.times import rfc3339, to_minute
from sendroute.model.userinfo import without_userinfo
from sendroute.model.words import counted, short_commit
from sendroute.postfix.mail_log import QUEUE_ID
from sendroute.reports.as_json import document, finding_form
from sendroute.reports.table import pairs
from sendroute.reports.text import Console, clean, paragraph

if TYPE_CHECKING:
    from sendroute.store.record import Store


class _Sender:
    """A sender as typed. An empty one gets the hint that the null sender is written ``<>``."""

    may_be_empty = True

    def __call__(self, text: str) -> str:
        return text


def options(parser: Parser) -> None:
    parser.add_argument(
        "sender",
        metavar="ADDRESS-or-DOMAIN",
        nargs="?",
        type=_Sender(),
        help="the envelope sender",
    )
    parser.add_argument(
        "--message",
        metavar="QUEUE-ID",
        type=_queue_id,
        help="the message with this queue id",
    )
    parser.add_argument(
        "--log",
        metavar="FILE",
        type=PathType(),
        help=f"Postfix's log, plain or gzip, with --message; - is standard input (default {LOG})",
    )
    output_option(parser, TABLES)


def _queue_id(text: str) -> str:
    if text == "NOQUEUE":
        raise argparse.ArgumentTypeError(
            "NOQUEUE is no queue id: Postfix logs it for mail that it refused before the mail had"
            " one. Give the sender of that line instead"
        )
    if QUEUE_ID.fullmatch(text) is None:
        shown = clean(without_userinfo(text))[:80]
        raise argparse.ArgumentTypeError(
            f"`{shown}` is not a queue id as Postfix logs it, such as 4F2A81C0B7"
        )
    return text


def run(arguments: Namespace, session: Session) -> int:
    outputs = outputs_of(arguments)
    if (arguments.sender is None) == (arguments.message is None):
        raise UsageError("Give either a sender or --message QUEUE-ID.")
    if arguments.log is not None and arguments.message is None:
        raise UsageError("--log is the log in which --message QUEUE-ID is found: give both.")
    if arguments.message is not None:
        return _run_message(arguments, session, outputs)
    with session.factory.open_store() as store:
        answer = _explain(arguments.sender, store)
        is_read = bool(store.relays())
        statuses = list(store.account_statuses().values())
    pending = pending_change(answer.domain, statuses) if answer.domain else None
    is_unknown = answer.row is None and pending is None and bool(answer.domain)
    others = [status.key for status in statuses] if is_unknown else []
    spelling = _unwritable(arguments.sender)

    def show(form: str, console: Console) -> Iterable[str]:
        if form == "json":
            return document([*answer.as_document().items(), ("pending", _pending(pending))])
        return chain(
            _text(answer, console, is_read=is_read), _notes(spelling, pending, others, console)
        )

    return present(session, outputs, show)


def _run_message(arguments: Namespace, session: Session, outputs: list[Output]) -> int:
    message = logged_message(arguments.message, arguments.log or LOG)
    with session.factory.open_store() as store:
        answer = explain_message(message, store)
        now = None
        if answer.domain is not None:
            now = explain_domain(answer.domain, answer.domain, store.explain_facts(answer.domain))
        elif message.sender == "":
            now = explain_null_sender(store.explain_facts(""))

    def show(form: str, console: Console) -> Iterable[str]:
        if form == "json":
            return document(answer.as_document().items())
        return as_text(answer, now, console)

    return present(session, outputs, show)


def _explain(text: str, store: "Store") -> Explanation:
    sender = read_sender(text)
    if sender.domain is None:
        return explain_null_sender(store.explain_facts(""))
    try:
        # Postfix ignores one dot at the end (trivial-rewrite(8)).
        domain = domain_name(sender.domain.removesuffix("."))
    except InvalidNameError:  # no manifest can declare it, so no account has it
        domain = sender.domain.lower()
    return explain_domain(sender.address, domain, store.explain_facts(domain))


def _unwritable(text: str) -> str | None:
    """How the domain is written, if it is typed in a form that no manifest can have."""
    try:
        domain_name(read_sender(text).domain or "example.com")
    except InvalidNameError as error:
        return f"The domain {error.message}. {error.hint}"
    return None


def _pending(pending: PendingChange | None) -> dict[str, Any] | None:
    if pending is None:
        return None
    namespace, account = owner_names(pending.status.key)
    return {
        "namespace": namespace,
        "account": account,
        "reason": pending.status.reason.value,
        "since": rfc3339(pending.status.since),
        "message": pending.message,
        "causes": [finding_form(with_hint(cause)) for cause in pending.causes],
    }


def _notes(
    spelling: str | None, pending: PendingChange | None, others: Sequence[Owner], console: Console
) -> Iterable[str]:
    """What is not as typed, or not as the manifests say yet. ``others``: those of whom
    something is left open, which may be about the domain."""
    texts = [spelling] if spelling is not None else []
    if pending is not None:
        texts.append(f"Not applied since {to_minute(pending.status.since)}: {pending.message}")
        causes = map(with_hint, pending.causes)
        texts += [f"{cause.positioned} {cause.hint or ''}".rstrip() for cause in causes]
    elif others:
        texts.append(_not_applied(others))
    for text in texts:
        yield from paragraph(text, console)


def _not_applied(owners: Sequence[Owner]) -> str:
    accounts = sum(owner is not PLATFORM for owner in owners)
    subject = counted(accounts, "account")
    if accounts < len(owners):
        subject = f"The platform and {subject}" if accounts else "The platform"
    verb = "has" if len(owners) == 1 else "have"
    command = with_given_options("sendroute status")
    return f"{subject} {verb} changes that are not applied yet: {command}"


def _text(answer: Explanation, console: Console, *, is_read: bool) -> Iterable[str]:
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
        commit = (
            f", commit {short_commit(assignment.source_commit)}" if assignment.source_commit else ""
        )
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
        lines.append(
            ("clients", ", ".join(answer.logins or ("any client that the relay accepts",)))
        )
    if answer.limits:
        limits = ", ".join(f"{name} {limit}" for name, limit in answer.limits.items())
        lines.append(("limits", f"{limits} (recorded, not enforced yet)"))
    yield from pairs(lines, console)
    yield from paragraph(answer.reason, console)
    if row is not None and row.state.is_shadowed:
        yield from paragraph(leave_shadow(row.domain, row.state), console)
    if row is not None and not is_read:
        yield from paragraph("The route is recorded; no relay reads this store yet.", console)
