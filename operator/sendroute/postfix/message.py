"""The route that one message took, and the reason for it: what Postfix's log says of the message,
and what the store's history says of the nexthop.

A nexthop's alias names one version of one profile forever, so the log's ``relay=p42r7`` leads to
the profile, the revision and the commit, also after the profile was replaced or removed.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sendroute.delivery.explain import change_document
from sendroute.delivery.sender import NULL_SENDER
from sendroute.model.nexthop import Alias
from sendroute.model.owner import PLATFORM
from sendroute.model.records import Endpoint, HistoryEntry
from sendroute.postfix.mail_log import Delivery, LoggedMessage

_ONE_SECOND = timedelta(seconds=1)  # logs have whole seconds


class UsedNexthop(NamedTuple):
    """A nexthop that the message was handed to. ``made`` is the change that created this version,
    ``assignment`` the one that assigned the sender's domain to it; None if the history does not
    have it, as in a store that was created from a lock file."""

    alias: Alias
    endpoint: Endpoint
    made: HistoryEntry | None
    assignment: HistoryEntry | None

    def as_document(self) -> dict[str, Any]:
        """Return the nexthop as a JSON report shows it."""
        bound, endpoint = self.endpoint.binding, self.endpoint
        of_account = bound.owner is not PLATFORM
        return {
            "alias": str(self.alias),
            "namespace": bound.namespace if of_account else None,
            "account": bound.account if of_account else None,
            "profile": bound.profile if of_account else None,
            "relay": None if of_account else bound.profile,
            "version": self.alias.version,
            "host": bound.host,
            "port": bound.port,
            "encryption": bound.encryption.value,
            "since_revision": endpoint.made,
            "retired_revision": endpoint.retired,
            "made": change_document(self.made) if self.made else None,
            "assigned": change_document(self.assignment) if self.assignment else None,
        }


class MessageExplanation(NamedTuple):
    """``domain`` is that of the sender as an A-label, None for the null sender and if the sender is
    unknown."""

    message: LoggedMessage
    domain: str | None
    nexthops: Mapping[Alias, UsedNexthop]

    def as_document(self) -> dict[str, Any]:
        """Return the explanation as a JSON report shows it."""
        message = self.message
        return {
            "format_version": "1.0",
            "message": message.queue_id,
            "sender": NULL_SENDER if message.sender == "" else message.sender,
            "domain": self.domain,
            "login": message.login,
            "removed": message.removed,
            "notification": message.notification,
            "earlier": message.earlier,
            "unread": message.unread,
            "deliveries": [_delivery(delivery) for delivery in message.deliveries],
            "nexthops": [used.as_document() for used in self.nexthops.values()],
        }


def _delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "recipient": delivery.recipient,
        "time": delivery.time,
        "attempts": delivery.attempts,
        "status": delivery.status,
        "dsn": delivery.dsn,
        "relay": delivery.relay,
        "nexthop": str(delivery.alias) if delivery.alias is not None else None,
        "answer": delivery.answer,
    }


def assignment_of(
    endpoint: Endpoint, entries: Sequence[HistoryEntry], delivered: datetime | None
) -> HistoryEntry | None:
    """The change that assigned a domain to a nexthop.

    Args:
        endpoint: the nexthop.
        entries: the history of the domain, the latest first.
        delivered: when the nexthop took the mail; None if that is unknown.

    Returns:
        The latest such change before the mail was delivered. If the clocks disagree, the first one.
    """
    assignments = [entry for entry in entries if _assigns(entry, endpoint)]
    for entry in assignments:
        if delivered is None or entry.at - _ONE_SECOND <= delivered:
            return entry
    return assignments[-1] if assignments else None


def _assigns(entry: HistoryEntry, endpoint: Endpoint) -> bool:
    bound = endpoint.binding
    is_profile = bound.owner is not PLATFORM
    route: dict[str, Any] = {"profile": bound.profile} if is_profile else {"managed": {}}
    before = entry.before["route"] if entry.before is not None else None
    after = entry.after["route"] if entry.after is not None else None
    if after != route or before == route or (is_profile and entry.account != bound.owner):
        return False
    return endpoint.retired is None or entry.revision <= endpoint.retired
