"""Events of the cluster (events.k8s.io/v1): what a person should notice, when it happens.

An event is derived from two statuses of an object: the one before and the one after. So nothing
else than a status says is in it, and a restart reports nothing again. The same event of an object
is one event with a series, and a change of many objects is one event of their account.
"""

import logging
import secrets
import socket
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from threading import Condition, Thread
from time import monotonic
from typing import NamedTuple

from msgspec import UNSET

from sendroute.cluster.api import SHORT_TIMEOUT, ApiError, SendsRequests
from sendroute.cluster.objects import APPROVE, PLATFORM_KIND, ClusterObject, ObjectKey
from sendroute.manifests.shapes import API_VERSION
from sendroute.manifests.statuses import (
    Condition as StatusCondition,
)
from sendroute.manifests.statuses import (
    MailAccountStatus,
    MailPlatformStatus,
    ObjectStatus,
    SendingDomainStatus,
)
from sendroute.model.conditions import ConditionType, Reason

MANY = 10
"""More changed objects of an account than this are one event."""

QUEUED = 1000
"""Events that wait to be written. More are dropped: an event is a courtesy, a status is not."""

SERIES = timedelta(minutes=6)
"""Events that are alike and closer than this belong to one series, as in Kubernetes' own client."""

_CONTROLLER = "sendroute.dev/operator"
_NOTE = 1024
_RATE, _BURST = 20.0, 100.0
_SERIES_EVERY = timedelta(minutes=1)
_REMEMBERED = 2000
_JOIN = 15.0
_DEFAULT_NAMESPACE = "default"

# Reasons that only follow from something else, which has an event of its own.
_QUIET = frozenset(
    {Reason.PENDING, Reason.WAITING, Reason.ACCOUNT_NOT_APPLIED, Reason.DEPENDENCY_SKIPPED}
)

_log = logging.getLogger(__name__)


class Event(NamedTuple):
    """``reason`` is one word, ``action`` what the operator did, ``note`` a sentence."""

    key: ObjectKey
    uid: str
    is_warning: bool
    reason: str
    action: str
    note: str


class StatusChange(NamedTuple):
    """An object with its status before and after."""

    seen: ClusterObject
    before: ObjectStatus | None
    after: ObjectStatus


def events_of(changes: list[StatusChange]) -> Iterator[Event]:
    """What a person should notice of an account, or of the platform.

    Args:
        changes: its objects, after they were reconciled.

    Returns:
        The events. There are at most a few for each object, and few for many domains.
    """
    account = next((item.seen for item in changes if item.seen.key.kind == "MailAccount"), None)
    routes = [event for item in changes if (event := _route_changed(item)) is not None]
    others = [event for item in changes for event in _turned(item)]
    for events, reason in ((routes, "RoutesChanged"), (others, "ManyChanged")):
        if len(events) > MANY and account is not None:
            yield _summary(events, account, reason)
            of_account = {"MailAccount", "SMTPProfile"}
            yield from [event for event in events if event.key.kind in of_account][:MANY]
        else:
            yield from events
    for item in changes:
        match item.before, item.after:
            case before, MailAccountStatus() as after:
                yield from _apply_all_ran(item.seen, before, after)
            case before, MailPlatformStatus() as after:
                yield from _held_back(item.seen, before, after)


def _route_changed(item: StatusChange) -> Event | None:
    before, after = item.before, item.after
    if not (isinstance(before, SendingDomainStatus) and isinstance(after, SendingDomainStatus)):
        return None
    if before.route_text is UNSET or before.route_text == after.route_text:
        return None
    if after.route_text is UNSET:
        note = f"The domain no longer has a route; it was {before.route_text}. It cannot send."
        return _event(item.seen, "RouteRemoved", "Route", note, is_warning=True)
    note = f"The route is {after.route_text} ({after.origin}); it was {before.route_text}."
    return _event(item.seen, "RouteChanged", "Route", note)


def _turned(item: StatusChange) -> Iterator[Event]:
    """Events because of conditions: an object is not ready any more, or for another reason; it is
    ready again; or it is ready, but another condition became false."""
    before = _conditions(item.before)
    after = _conditions(item.after)
    ready, previous = after.get(ConditionType.READY), before.get(ConditionType.READY)
    if ready is None:
        return
    if ready.status == "True" and previous is not None and previous.status != "True":
        if previous.reason not in _QUIET:
            yield _event(item.seen, "Ready", "Reconcile", ready.message)
        return
    changed = previous is None or (previous.status, previous.reason) != (ready.status, ready.reason)
    if previous is not None and ready.reason == Reason.HELD_BACK:
        changed = previous.message != ready.message  # with another digest it is another change
    is_false = any(
        other.status == "False" and other.type != ConditionType.READY for other in after.values()
    )
    if changed and is_false and ready.reason not in _QUIET:
        yield _event(item.seen, ready.reason, "Reconcile", ready.message, is_warning=True)


def _summary(events: list[Event], account: ClusterObject, reason: str) -> Event:
    warning = any(event.is_warning for event in events)
    note = f"{len(events)} objects of the account changed, for example {events[0].key.name}:"
    return _event(account, reason, "Reconcile", f"{note} {events[0].note}", is_warning=warning)


def _apply_all_ran(
    seen: ClusterObject, before: ObjectStatus | None, after: MailAccountStatus
) -> Iterator[Event]:
    ran = after.last_apply_all
    earlier = before.last_apply_all if isinstance(before, MailAccountStatus) else UNSET
    if ran is UNSET or before is None or ran == earlier:
        return
    note = f"The apply-all {ran.id} switched every domain of the account: {ran.domains} in all."
    yield _event(seen, "ApplyAllRan", "ApplyToAll", note)


def _held_back(
    seen: ClusterObject, before: ObjectStatus | None, after: MailPlatformStatus
) -> Iterator[Event]:
    known = before.held_back if isinstance(before, MailPlatformStatus) else UNSET
    digests = {item.digest for item in known} if known is not UNSET else set()
    held = after.held_back if after.held_back is not UNSET else []
    new = [item for item in held if item.digest not in digests]
    for item in new[:MANY]:
        note = (
            f"{item.effect} Mail continues as it was. If the change is intended, approve it: set"
            f" the annotation {APPROVE} to {item.digest} on MailAccount {item.account} of"
            f" namespace {item.namespace}, or on the MailPlatform if that is gone."
        )
        yield _event(seen, Reason.HELD_BACK, "HoldBack", note, is_warning=True)
    if len(new) > MANY:
        note = f"{len(new)} more changes are held back. The MailPlatform's status lists them."
        yield _event(seen, "ManyHeldBack", "HoldBack", note, is_warning=True)


def _event(
    seen: ClusterObject, reason: str, action: str, note: str, *, is_warning: bool = False
) -> Event:
    return Event(seen.key, seen.uid, is_warning, str(reason), action, note)


def _conditions(status: ObjectStatus | None) -> Mapping[str, StatusCondition]:
    if status is None or status.conditions is UNSET:
        return {}
    return {condition.type: condition for condition in status.conditions}


class _WrittenEvent(NamedTuple):
    """An event that was written, and how often it has happened. ``path`` is its own."""

    path: str
    times: int
    last: datetime
    patched: datetime


class EventWriter:
    """Writes events in a thread of its own, slowly enough for the API. What cannot be written is
    dropped.

    Args:
        api: the Kubernetes API.
        now: the time, aware, in UTC.
        clock: a monotonic clock, in seconds.
    """

    def __init__(
        self,
        api: SendsRequests,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._api = api
        self._now = now
        self._clock = clock
        self._instance = socket.gethostname()[:128] or "operator"
        self._queue: deque[Event] = deque()
        self._changed = Condition()
        self._stopped = False
        self._is_busy = False
        self._written: OrderedDict[tuple[str, str, str], _WrittenEvent] = OrderedDict()
        self._tokens, self._filled = _BURST, clock()
        self._is_refused = False
        self._thread = Thread(target=self._work, name="events", daemon=True)
        self._thread.start()

    def record(self, event: Event) -> bool:
        """Write an event soon.

        Returns:
            Whether it will be written; False if too many wait.
        """
        with self._changed:
            if self._stopped or len(self._queue) >= QUEUED:
                return False
            self._queue.append(event)
            self._changed.notify()
        return True

    def wait(self, seconds: float) -> bool:
        """Wait until everything is written, for so many seconds at most."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue and not self._is_busy, seconds)

    def stop(self) -> None:
        """Write nothing more."""
        with self._changed:
            self._stopped = True
            self._queue.clear()
            self._changed.notify_all()
        self._thread.join(_JOIN)

    def _work(self) -> None:
        while (event := self._next()) is not None:
            try:
                self._write(event)
                self._is_refused = False
            except ApiError as error:
                if not self._is_refused:
                    _log.warning("Events are not written now: %s", error)
                self._is_refused = True
            except Exception:  # noqa: BLE001 - a thread that ends would write nothing more
                _log.exception("An event of %s was not written.", event.key)
            with self._changed:
                self._is_busy = False
                self._changed.notify_all()

    def _next(self) -> Event | None:
        with self._changed:
            while not self._stopped:
                now = self._clock()
                self._tokens = min(_BURST, self._tokens + (now - self._filled) * _RATE)
                self._filled = now
                if self._queue and self._tokens >= 1:
                    self._tokens -= 1
                    self._is_busy = True
                    return self._queue.popleft()
                self._changed.wait(1 / _RATE if self._queue else None)
            return None

    def _write(self, event: Event) -> None:
        now = self._now()
        same = (event.uid, event.reason, event.note)
        known = self._written.get(same)
        if known is not None and now - known.last < SERIES:
            times = known.times + 1
            is_due = now - known.patched >= _SERIES_EVERY
            if is_due or times == 2:
                series = {"count": times, "lastObservedTime": _micro(now)}
                self._api.request(
                    "PATCH",
                    known.path,
                    body={"series": series},
                    content_type="application/merge-patch+json",
                    timeout=SHORT_TIMEOUT,
                )
                known = known._replace(patched=now)
            self._written[same] = known._replace(times=times, last=now)
            return
        path = self._create(event, now)
        self._written[same] = _WrittenEvent(path, 1, now, now)
        self._written.move_to_end(same)
        if len(self._written) > _REMEMBERED:
            self._written.popitem(last=False)

    def _create(self, event: Event, now: datetime) -> str:
        key = event.key
        namespace = key.namespace or _DEFAULT_NAMESPACE  # of an object without a namespace
        name = f"{key.name[:220]}.{secrets.token_hex(8)}"
        regarding = {
            "apiVersion": API_VERSION,
            "kind": key.kind,
            "name": key.name,
            "uid": event.uid,
        }
        if key.kind != PLATFORM_KIND:
            regarding["namespace"] = key.namespace
        body = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "eventTime": _micro(now),
            "reportingController": _CONTROLLER,
            "reportingInstance": self._instance,
            "action": event.action,
            "reason": event.reason,
            "type": "Warning" if event.is_warning else "Normal",
            "regarding": regarding,
            "note": event.note if len(event.note) <= _NOTE else f"{event.note[: _NOTE - 1]}…",
        }
        path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
        self._api.request("POST", path, body=body, timeout=SHORT_TIMEOUT)
        return f"{path}/{name}"


def _micro(at: datetime) -> str:
    """A ``MicroTime`` of the API."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
