"""One message in Postfix's log: who submitted it, and what each delivery said.

The log is text that strangers influence: addresses, and what servers answer. So a line is read only
if it has exactly the form in which Postfix writes it, and can be read in one way. Postfix logs one
event in one line, without control characters, and addresses in their quoted form
(postconf(5), ``info_log_addr_form``).
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from sendroute.model.nexthop import Alias

# Of 6 or more characters (short, reused) or of 10 or more (postconf(5), ``enable_long_queue_ids``).
QUEUE_ID = re.compile(r"[0-9A-Za-z]{6,24}", re.ASCII)

_LINE = re.compile(
    r"(?P<time>[A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,18}(?:Z|[+-][0-9]{2}:?[0-9]{2})) "
    r"[^\s\[\]]+ postfix[^\s\[\]/]*(?:/[^\s\[\]/]+)*/(?P<program>[a-z]+)\[[0-9]+\]: "
    r"(?P<id>[0-9A-Za-z]+): (?P<event>.*)"
)
# Read in one way, up to the first @: addresses of many @ would otherwise take time by their square.
_ADDRESS = (
    r'(?:(?:"(?:[^"\\]|\\.)*"|[^\s"<>\\][^\s"<>@\\]*)@[^\s"<>\\]+'
    r'|"(?:[^"\\]|\\.)*"|[^\s"<>@\\]*)'
)
_FROM = re.compile(rf"from=<(?P<sender>{_ADDRESS})>, size=[0-9]+, nrcpt=[0-9]+ \(queue \S+\)")
_CLIENT = re.compile(
    r"client=[^\s,]+(?:, sasl_method=[A-Z0-9_-]+, sasl_username=(?P<login>[!-+.-~-]+))?(?:, .*)?"
)
_DELIVERY = re.compile(
    rf"to=<(?P<recipient>{_ADDRESS})>, (?:orig_to=<{_ADDRESS}>, )?relay=(?P<relay>[^\s,]+), "
    r"(?:conn_use=[0-9]+, )?delay=[0-9.]+, delays=[0-9./]+, dsn=(?P<dsn>[245]\.[0-9]+\.[0-9]+), "
    r"status=(?P<status>[a-z]+) \((?P<answer>.*)\)"
)
# What Postfix itself writes if it reached no server, before any text of a server. After a failure
# it suspends a destination, and repeats the reason (qmgr(8)).
_UNREACHED = re.compile(
    r"(?:delivery temporarily suspended: )?(?:"
    r"(?:connect to|host|lost connection with|conversation with"
    r"|SASL authentication failed; (?:cannot authenticate to )?server) (?P<host>[^\s\[\]:]+)\[.*"
    r"|Host or domain name not found\. Name service error for name=(?P<name>\S+) .*)"
)
_BOUNCE = re.compile(r"sender (?:non-)?delivery (?:status )?notification: (?P<id>[0-9A-Za-z]+)")


_AHEAD = timedelta(days=1)
"""How far the clock of another host may be ahead."""


class Delivery(NamedTuple):
    """The last of some equal ``attempts`` to deliver to one recipient. ``relay`` is the host as the
    log names it, None if none was reached; ``alias`` is set if that is an alias. ``answer`` is the
    text of the server, or of Postfix."""

    recipient: str
    time: str
    status: str
    dsn: str
    relay: str | None
    alias: Alias | None
    answer: str
    attempts: int = 1

    @property
    def _decision(self) -> tuple[str, str, Alias | str | None]:
        return self.recipient, self.status, self.alias or self.relay

    def repeats(self, earlier: "Delivery") -> bool:
        """Whether it is the same as an earlier attempt, at another time."""
        return self._decision == earlier._decision


class LoggedMessage(NamedTuple):
    """What the log says of a message. ``sender`` is an empty text for the null sender, None if it
    is unknown. ``login`` is that of the client. ``removed``: the queue has it no longer.
    ``earlier`` counts older messages with the same id, which Postfix uses again. ``notification``
    is the queue id of a bounce about it. ``unread`` counts lines with this id that are not in the
    form that Postfix writes, or can be read in two ways."""

    queue_id: str
    sender: str | None = None
    login: str | None = None
    deliveries: tuple[Delivery, ...] = ()
    removed: bool = False
    notification: str | None = None
    earlier: int = 0
    unread: int = 0


def find_message(lines: Iterable[str], queue_id: str) -> LoggedMessage | None:
    """Find a message in a log.

    Args:
        lines: the lines of the log, the oldest first.
        queue_id: the id that Postfix gave it.

    Returns:
        The latest message with that id; None if no line has it.
    """
    message: LoggedMessage | None = None
    deliveries = _Deliveries()
    for line in lines:
        if queue_id not in line:
            continue
        match = _LINE.fullmatch(line.rstrip("\r\n"))
        if match is None or match["id"] != queue_id:
            continue
        program, event = match["program"], match["event"]
        is_new = program in ("smtpd", "pickup") and event.startswith(("client=", "uid="))
        if message is None:
            message = LoggedMessage(queue_id)
        elif message.removed or (
            is_new
            and (deliveries.any or message != LoggedMessage(queue_id, earlier=message.earlier))
        ):
            message = LoggedMessage(queue_id, earlier=message.earlier + 1)
            deliveries = _Deliveries()
        delivery = _delivery(event, match["time"])
        if delivery is not None:
            deliveries.add(delivery)
        else:
            message = _with_event(message, program, event)
    return message._replace(deliveries=deliveries.all()) if message is not None else None


class _Deliveries:
    """The deliveries of one message. Equal attempts one after the other are one: mail may be
    deferred for days. A message may have a hundred thousand recipients."""

    def __init__(self) -> None:
        self._all: list[Delivery] = []
        self._last: dict[str, int] = {}  # of each recipient

    @property
    def any(self) -> bool:
        return bool(self._all)

    def add(self, new: Delivery) -> None:
        index = self._last.get(new.recipient)
        if index is not None and new.repeats(self._all[index]):
            self._all[index] = new._replace(attempts=self._all[index].attempts + 1)
            return
        self._last[new.recipient] = len(self._all)
        self._all.append(new)

    def all(self) -> tuple[Delivery, ...]:
        return tuple(self._all)


def _with_event(message: LoggedMessage, program: str, event: str) -> LoggedMessage:
    """The message with what an event says of it that is no delivery."""
    if program == "qmgr" and event == "removed":
        return message._replace(removed=True)
    if program == "qmgr" and event.startswith("from="):
        if match := _FROM.fullmatch(event):
            return message._replace(sender=match["sender"])
        return message._replace(unread=message.unread + 1)
    if program == "smtpd" and (match := _CLIENT.fullmatch(event)):
        return message._replace(login=match["login"])
    if program == "bounce" and (match := _BOUNCE.fullmatch(event)):
        return message._replace(notification=match["id"])
    if event.startswith("to="):
        return message._replace(unread=message.unread + 1)
    return message


def _delivery(event: str, time: str) -> Delivery | None:
    match = _DELIVERY.fullmatch(event)
    # An address or an answer that holds a relay of its own could be taken for the real one.
    if match is None or event.count(", relay=") != 1:
        return None
    relay, answer = match["relay"], match["answer"]
    host = relay.partition("[")[0]
    if relay == "none":
        unreached = _UNREACHED.fullmatch(answer)
        host = (unreached["host"] or unreached["name"]) if unreached is not None else ""
    return Delivery(
        match["recipient"],
        time,
        match["status"],
        match["dsn"],
        None if relay == "none" else relay,
        _alias(host),
        answer,
    )


def moment_of(time: str, now: datetime) -> datetime | None:
    """The moment of a line.

    Args:
        time: as the line has it. The traditional form has neither a year nor a zone.
        now: the present in the zone of the log; a moment after it was in the year before.

    Returns:
        The moment; None if there is no such day.
    """
    try:
        if time[0].isdigit():
            return datetime.fromisoformat(time)
        seconds, _, fraction = time.partition(".")  # journalctl(1), short-precise
        moment = datetime.strptime(f"{now.year} {seconds}", "%Y %b %d %H:%M:%S").replace(
            microsecond=int(f"{fraction:0<6}"[:6]), tzinfo=now.tzinfo
        )
        return moment if moment <= now + _AHEAD else moment.replace(year=now.year - 1)
    except ValueError:
        return None


def _alias(host: str) -> Alias | None:
    try:
        return Alias.parse(host)
    except ValueError:
        return None
