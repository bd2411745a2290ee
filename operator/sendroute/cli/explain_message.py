"""``explain --message``: the route that one message took, by Postfix's log and the store."""

import errno
import gzip
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from io import BufferedReader
from typing import TYPE_CHECKING, BinaryIO, cast

from sendroute.delivery.explain import Explanation
from sendroute.delivery.sender import NULL_SENDER, read_sender
from sendroute.files.reason import reason_of
from sendroute.manifests.names import InvalidNameError, domain_name
from sendroute.model.change import Kind
from sendroute.model.codes import finding
from sendroute.model.nexthop import Alias
from sendroute.model.owner import PLATFORM
from sendroute.model.problem import ProblemError
from sendroute.model.records import Endpoint, HistoryEntry
from sendroute.model.words import counted, short_commit
from sendroute.postfix.mail_log import Delivery, LoggedMessage, find_message, moment_of
from sendroute.postfix.message import MessageExplanation, UsedNexthop, assignment_of
from sendroute.reports.table import pairs
from sendroute.reports.text import Console, clean, wrap

if TYPE_CHECKING:
    from sendroute.store.record import Store

LOG = "/var/log/mail.log"
_GZIP = b"\x1f\x8b"  # RFC 1952, section 2.3.1
_OTHERS = ((b"\xfd7zXZ", "xz"), (b"BZh", "bzip2"), (b"\x28\xb5\x2f\xfd", "zstd"))
_MAGIC = 8
_LONGEST = 65_536
_SHOWN = 200
"""Characters of a server's answer that are shown."""


def logged_message(queue_id: str, log: str) -> LoggedMessage:
    """Find a message in a log.

    Args:
        queue_id: the queue id, as Postfix logs it.
        log: the path of the log, plain or compressed by gzip; ``-`` is standard input.

    Returns:
        What the log says of the latest message with that id.

    Raises:
        ProblemError: the log cannot be read (``unreadable``), or does not have the message
            (``unknown-message``).
    """
    try:
        with _opened(log) as file:
            needle = queue_id.encode()
            lines = _Counted(
                line.decode("utf-8", "replace") for line in _lines(file) if needle in line
            )
            message = find_message(lines, queue_id)
    except (OSError, EOFError, zlib.error) as error:
        reason = reason_of(error) if isinstance(error, OSError) else "it is damaged"
        raise ProblemError(
            finding(
                "unreadable",
                f"The mail log {log} cannot be read: {reason}.",
                hint="Give another log, or the journal by standard input.",
            )
        ) from error
    if message is None:
        where = "standard input" if log == "-" else log
        hint = "Read an older log, or that of the host which had the message."
        if lines.count:
            hint += (
                f" The id is in {counted(lines.count, 'line')} of another form: log lines begin"
                " with `Nov 29 10:00:01` or `2026-11-29T10:00:01+01:00`, the host and postfix/…, as"
                " in files of syslog and the output of journalctl."
            )
        raise ProblemError(
            finding(
                "unknown-message",
                f"No log line of Postfix in {where} is about the queue id {queue_id}.",
                hint=hint,
            )
        )
    return message


class _Counted:
    """Lines, and how many there were."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.count = 0

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.count += 1
            yield line


@contextmanager
def _opened(log: str) -> Iterator[BinaryIO]:
    if log == "-" and sys.stdin is None:
        raise OSError(errno.EBADF, "standard input is closed")
    source = nullcontext(sys.stdin.buffer) if log == "-" else open(log, "rb")  # noqa: PTH123, SIM115
    with source as file:
        begins = file.peek(_MAGIC) if isinstance(file, BufferedReader) else b""
        if begins.startswith(_GZIP):  # logrotate(8) compresses old logs
            with gzip.open(file) as plain:
                yield cast("BinaryIO", plain)
            return
        if other := next((name for magic, name in _OTHERS if begins.startswith(magic)), None):
            raise OSError(errno.EINVAL, f"it is compressed by {other}: give it by standard input")
        yield file


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a log, without those that are too long for Postfix: no part of one may pass for
    a line of its own."""
    is_rest = False
    while piece := file.readline(_LONGEST):
        is_part = len(piece) == _LONGEST and not piece.endswith(b"\n")
        if not is_part and not is_rest:
            yield piece
        is_rest = is_part


def explain_message(message: LoggedMessage, store: "Store") -> MessageExplanation:
    """Explain the route of a message that the log has.

    Args:
        message: what the log says.
        store: the store of the relay.

    Returns:
        Its deliveries and the nexthops that they used.
    """
    domain = _domain(message.sender)
    entries = store.history(domain=domain) if domain is not None else []
    now = datetime.now().astimezone()
    aliases = {
        delivery.alias: moment_of(delivery.time, now)
        for delivery in message.deliveries
        if delivery.alias is not None
    }
    known = {
        Alias(endpoint.profile, endpoint.version): endpoint
        for endpoint in store.endpoints(tuple(aliases))
    }
    nexthops = {
        alias: UsedNexthop(
            alias,
            known[alias],
            _creation(store, known[alias]),
            assignment_of(known[alias], entries, delivered),
        )
        for alias, delivered in aliases.items()
        if alias in known
    }
    return MessageExplanation(message, domain, nexthops)


def _domain(sender: str | None) -> str | None:
    if not sender:
        return None
    try:
        domain = read_sender(sender).domain
        return domain_name(domain.removesuffix(".")) if domain is not None else None
    except (ProblemError, InvalidNameError):
        return None


def _creation(store: "Store", endpoint: Endpoint) -> HistoryEntry | None:
    """The change that created a version of a profile, or of a relay of the platform."""
    bound = endpoint.binding
    if bound.owner is PLATFORM:
        entries, kind, account = store.history(owner=PLATFORM), Kind.PLATFORM, None
    else:
        entries = store.history(profile=(bound.namespace, bound.profile))
        kind, account = Kind.PROFILE, bound.owner
    same = (endpoint.made, kind, account)
    return next(
        (entry for entry in entries if (entry.revision, entry.kind, entry.account) == same), None
    )


def as_text(answer: MessageExplanation, now: Explanation | None, console: Console) -> Iterator[str]:
    """The answer for people. ``now`` is what mail from the sender takes at present."""
    message = answer.message
    sender = {"": NULL_SENDER, None: "not in the log"}.get(message.sender, message.sender)
    lines = [("message", message.queue_id), ("sender", str(sender))]
    if message.login is not None:
        lines.append(("signed in as", message.login))
    lines += [("to", _delivered(delivery)) for delivery in message.deliveries]
    for used in answer.nexthops.values():
        lines += _nexthop(used)
    yield from pairs(lines, console)
    for text in dict.fromkeys((*_notes(answer), *_now(answer, now))):
        yield from (line + "\n" for line in wrap(clean(text), 0, columns=console.columns))


def _delivered(delivery: Delivery) -> str:
    by = delivery.relay or delivery.alias or "no relay"
    times = f", {delivery.attempts} attempts" if delivery.attempts > 1 else ""
    text = f"{delivery.recipient}: {delivery.status} by {by}, {delivery.time}{times}"
    if delivery.status == "sent":
        return text
    return f"{text} ({delivery.dsn}: {delivery.answer[:_SHOWN]})"


def _nexthop(used: UsedNexthop) -> Iterator[tuple[str, str]]:
    bound, endpoint = used.endpoint.binding, used.endpoint
    name = str(used.alias)
    yield (
        name,
        f"{bound.title}, version {used.alias.version}: {bound.host}:{bound.port},"
        f" {bound.encryption}",
    )
    yield f"{name} since", _change(used.made) if used.made else f"revision {endpoint.made}"
    if used.assignment is not None:
        yield f"{name} because", f"{_change(used.assignment)}: {used.assignment.message}"
    if endpoint.retired is not None:
        yield f"{name} until", f"revision {endpoint.retired}"


def _change(entry: HistoryEntry) -> str:
    commit = f", commit {short_commit(entry.source_commit)}" if entry.source_commit else ""
    return f"revision {entry.revision}, {entry.actor}{commit}"


def _notes(answer: MessageExplanation) -> Iterator[str]:
    message = answer.message
    for delivery in message.deliveries:
        if delivery.alias is not None and delivery.alias not in answer.nexthops:
            yield (
                f"Nexthop {delivery.alias} is not in this store: the relay follows another store,"
                " or followed one before."
            )
        elif delivery.alias is None and delivery.relay is not None:
            yield (
                f"{delivery.relay} is no nexthop of Sendroute: the message was delivered before"
                " this Postfix took its routes from Sendroute, or past them."
            )
    if not message.deliveries:
        yield "The log has no delivery of it yet."
    if message.notification is not None:
        yield f"Postfix sent a notification to the sender as message {message.notification}."
    if message.earlier:
        yield (
            "Postfix uses ids again: the log also has "
            + ("an older message" if message.earlier == 1 else f"{message.earlier} older messages")
            + " with this one."
        )
    if message.unread:
        count = "1 line" if message.unread == 1 else f"{message.unread} lines"
        yield f"{count} of it could not be read without doubt."


def _now(answer: MessageExplanation, now: Explanation | None) -> Iterator[str]:
    if now is None or not answer.message.deliveries:
        return
    alias = now.nexthop.alias if now.nexthop is not None else None
    last = answer.message.deliveries[-1].alias
    if str(last or "") != (alias or ""):
        yield f"New mail: {now.reason}" + (f" Its nexthop is {alias}." if alias else "")
