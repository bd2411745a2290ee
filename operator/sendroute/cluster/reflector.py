"""Keep a copy of the objects of one kind: list them page by page, then watch what changes.

A watch that the API can no longer continue (410) is followed by a new list. It is compared with the
copy, so that what was deleted meanwhile is noticed. Nothing is taken as deleted unless a complete
list lacks it, or the watch says so: not after a refused request, nor after half a list.

Sources: "Efficient detection of changes" and "Retrieving large results sets in chunks" of
https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Protocol

import msgspec
from msgspec import Raw, Struct

from sendroute.cluster.answers import decoder
from sendroute.cluster.api import (
    TIMEOUT,
    Api,
    ApiError,
    LineStream,
    LongAnswerError,
    Query,
    error_of,
    path_of,
)
from sendroute.cluster.objects import (
    ClusterObject,
    ListedObject,
    ObjectKey,
    decode_item,
    decode_page,
    object_of,
)
from sendroute.cluster.times import Times
from sendroute.runtime.backoff import Random, backoff

_log = logging.getLogger(__name__)

PAGE = 500
"""Objects of one page."""
_LONGEST_PAGE = 32 << 20
"""Bytes of one page. An object has 2 kB, but a tenant can give it a thousand times as much; a page
of these would not fit into the memory of the operator."""
_SMALLER = 4
_LONGEST_RETRY_AFTER = 60.0
_SHORT = 1.0
"""Seconds: a watch that ends sooner, without an event, counts as a failure."""
_GONE = 410
DEFAULT_TIMES = Times()
_STALE_LISTS = 10
"""Lists in a row that are older than what was seen: then the cluster was set back, or the store was
moved to another one, and they are believed."""
_EXPIRED_LISTS = 3
"""So often a list whose rest has expired begins again at once; then after a wait, as after any
failure."""

Changes = dict[ObjectKey, ClusterObject | None]
"""Objects as they are now; None for one that was deleted."""


class Restarts(Protocol):
    """Counts the lists and watches that began."""

    def __call__(self, kind: str, verb: str) -> None: ...


class Inbox:
    """What changed and was not taken yet, from all reflectors. Of each object only the newest
    state is kept, so its size is bounded by the number of objects."""

    def __init__(self, wake: Callable[[], None] = lambda: None) -> None:
        self._wake = wake
        self._lock = Lock()
        self._changes: Changes = {}

    def put(self, changes: Changes) -> None:
        """Add changes, from any thread."""
        with self._lock:
            self._changes |= changes
        self._wake()

    @property
    def is_empty(self) -> bool:
        """Whether everything was taken."""
        return not self._changes

    def take(self) -> Changes:
        """Take everything that changed since the last time."""
        with self._lock:
            changes, self._changes = self._changes, {}
        return changes


class _Event(Struct):
    type: str
    object: Raw


class _ResourceVersion(Struct, rename="camel"):
    resource_version: str = ""


class _Bookmark(Struct):
    metadata: _ResourceVersion


_decode_event = decoder(_Event)
_decode_bookmark = decoder(_Bookmark)


class Reflector(Thread):
    """One kind, in one namespace or in all of them.

    ``synced`` is set after the first complete list. ``follows``: the copy is complete, and a watch
    continues it; False from a failure until the next list or watch is answered. ``fault`` is why
    the API cannot be followed now, None if it can. ``reported`` is the newest version that may have
    been put into the inbox.
    """

    def __init__(
        self,
        api: Api,
        kind: str,
        namespace: str,
        inbox: Inbox,
        random: Random,
        times: Times = DEFAULT_TIMES,
        restarts: Restarts = lambda _kind, _verb: None,
    ) -> None:
        super().__init__(name=f"reflector of {kind} {namespace}".strip(), daemon=True)
        self.kind = kind
        self.namespace = namespace
        self.synced = False
        self.follows = False
        self.fault: ApiError | None = None
        self.reported = 0
        self._api = api
        self._inbox = inbox
        self._random = random
        self._times = times
        self._restarts = restarts
        self._objects: dict[ObjectKey, str] = {}  # the version of each
        self._version = ""  # empty: everything must be listed
        self._newest = 0  # everything up to this version is in the inbox
        self._needed = 0
        self._relist_at = 0.0
        self._failures = 0
        self._stale = 0
        self._stopping = Event()
        self._stream: LineStream | None = None

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                if not self._version or self.is_behind or time.monotonic() >= self._relist_at:
                    self._list()
                self._watch()
            except ApiError as error:
                self._failed(error)
            except msgspec.MsgspecError as error:
                self._failed(ApiError(0, f"the answer of the Kubernetes API is damaged: {error}"))
            except Exception as error:  # noqa: BLE001 - if this thread ended, nothing would show it
                kind = type(error).__name__
                _log.exception("This is an error in Sendroute: %s.", kind)
                self._failed(ApiError(0, f"an error in Sendroute ({kind})"))

    def stop(self) -> None:
        """Stop soon, from any thread."""
        self._stopping.set()
        self._end_watch()

    def catch_up(self, version: int) -> None:
        """Read at least this version of the objects soon: from any thread. If the watch has not
        shown it yet, everything is listed again."""
        self._needed = version
        if self.is_behind:
            self._end_watch()

    @property
    def is_behind(self) -> bool:
        """Whether the copy is older than :meth:`catch_up` asked for."""
        return self._newest < self._needed

    def _end_watch(self) -> None:
        stream = self._stream
        if stream is not None:
            stream.close()

    @property
    def count(self) -> int:
        """The number of objects."""
        return len(self._objects)

    def _failed(self, error: ApiError) -> None:
        """Wait, at least as long as the API asks."""
        if self._stopping.is_set():
            return
        self.follows = False
        if error.status == _GONE:
            self._version = ""
        else:
            self.fault = error
        self._failures += 1
        # Never near zero: an API that starts again must not be asked by everybody at once.
        wait = backoff(
            self._failures,
            self._times.longest_wait,
            0.5 + self._random() / 2,
            self._times.first_retry,
        )
        requested = min(error.retry_after, _LONGEST_RETRY_AFTER)
        _log.debug("%s: %s", self.name, error)
        self._stopping.wait(max(wait, requested))

    # Lists

    def _list(self) -> None:
        """List everything, and report what differs from the copy."""
        self._restarts(self.kind, "list")
        seen, version = self._read_list()
        deleted = self._objects.keys() - seen
        for key in deleted:
            del self._objects[key]
        self._version = version
        self._relist_at = time.monotonic() + self._times.relist * (1 + self._random() / 10)
        self._succeeded()
        self._inbox.put(dict.fromkeys(deleted))
        self._newest = number(version)
        if self._stale >= _STALE_LISTS:
            self._needed = min(self._needed, self._newest)
        self._stale = 0
        self.synced = True
        self.follows = True
        self._inbox.put({})

    def _read_list(self) -> tuple[set[ObjectKey], str]:
        """Report a list. Returns what is on it, and its version.

        If the rest has expired, it begins again with the first page. The API would continue as of
        now, by the token in its answer, but then what changed meanwhile on the pages before would
        be missed."""
        expired = 0
        while True:
            try:
                return self._read_pages()
            except ApiError as error:
                if error.status != _GONE or expired == _EXPIRED_LISTS:
                    raise
                expired += 1

    def _read_pages(self) -> tuple[set[ObjectKey], str]:
        seen: set[ObjectKey] = set()
        version = ""
        for items, version in self._pages():
            self._check_version(version)
            self.reported = number(version)
            self._report(items, seen)
        return seen, version

    def _pages(self) -> Iterator[tuple[list[ListedObject], str]]:
        """Each page, with the version of the list."""
        path = path_of(self.kind, self.namespace)
        limit = PAGE
        following: Query = ()
        while True:
            if self._stopping.is_set():
                raise ApiError(0, "the operator stops")
            query = [("limit", str(limit)), *following]
            try:
                answer = self._api.request("GET", path, query=query, longest=_LONGEST_PAGE)
            except LongAnswerError:
                if limit == 1:
                    raise
                limit = max(1, limit // _SMALLER)
                continue
            page = decode_page(answer)
            del answer
            yield page.items, page.metadata.resource_version
            if not page.metadata.continue_:
                return
            following = [("continue", page.metadata.continue_)]
            limit = min(PAGE, 2 * limit)

    def _check_version(self, version: str) -> None:
        """Refuse a list that is older than what was seen, or than what is needed: what it lacks was
        not deleted. Versions of one kind can be compared
        (https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions)."""
        if not version:
            raise ApiError(0, "the Kubernetes API answered a list without a version")
        oldest = max(self._newest, self._needed)
        if number(version) >= oldest or self._stale >= _STALE_LISTS:
            return
        self._stale += 1
        raise ApiError(0, f"the Kubernetes API answered an old list, of version {version}")

    def _report(self, items: list[ListedObject], seen: set[ObjectKey]) -> None:
        changes: Changes = {}
        for item in items:
            metadata = item.metadata
            key = ObjectKey(self.kind, metadata.namespace, metadata.name)
            seen.add(key)
            if self._objects.get(key) != metadata.resource_version:
                changed = object_of(self.kind, item)
                self._objects[changed.key] = metadata.resource_version
                changes[changed.key] = changed
        if changes:
            self._inbox.put(changes)

    # Watches

    def _watch(self) -> None:
        """Watch until the API ends it, or everything is due to be listed again."""
        self._restarts(self.kind, "watch")
        started = time.monotonic()
        seconds = min(self._times.watch * (1 + self._random()), max(1.0, self._relist_at - started))
        query = [
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", self._version),
            ("timeoutSeconds", str(int(seconds))),
        ]
        timeout = (TIMEOUT[0], self._times.silence)
        stream = self._api.stream(path_of(self.kind, self.namespace), query=query, timeout=timeout)
        self._stream = stream
        self._follow()
        events = 0
        try:
            for line in () if self._is_interrupted else stream.lines():
                self._take(line)
                events += 1
                self._succeeded()
        except ApiError:
            if not self.is_behind:
                raise
        finally:
            self._stream = None
            with suppress(Exception):
                stream.close()
        if (
            not events
            and time.monotonic() - started < min(_SHORT, self._times.watch)
            and not self._is_interrupted
        ):
            raise ApiError(0, "the Kubernetes API ends every watch at once")
        self._succeeded()

    @property
    def _is_interrupted(self) -> bool:
        return self._stopping.is_set() or self.is_behind

    def _take(self, line: bytes) -> None:
        event = _decode_event(line)
        if event.type == "ERROR":
            raise error_of(bytes(event.object), 0)
        if event.type == "BOOKMARK":
            self._seen_up_to(_decode_bookmark(event.object).metadata.resource_version)
            return
        item = decode_item(event.object)
        version = item.metadata.resource_version
        self.reported = max(self.reported, number(version))
        if event.type == "DELETED":
            key = ObjectKey(self.kind, item.metadata.namespace, item.metadata.name)
            if self._objects.pop(key, None) is not None:
                self._inbox.put({key: None})
        else:
            changed = object_of(self.kind, item)
            if self._objects.get(changed.key) != version:
                self._objects[changed.key] = version
                self._inbox.put({changed.key: changed})
        self._seen_up_to(version)

    def _seen_up_to(self, version: str) -> None:
        was_behind = self.is_behind
        self._version = version
        self._newest = max(self._newest, number(version))
        if was_behind and not self.is_behind:
            self._inbox.put({})

    def _follow(self) -> None:
        """The copy is complete, and continued from now on: wake who waits for that."""
        if not self.follows:
            self.follows = True
            self._inbox.put({})

    def _succeeded(self) -> None:
        self._failures = 0
        self.fault = None


def number(version: str) -> int:
    """The number of a version, for comparing; 0 for one that is not a number."""
    return int(version) if version.isdigit() else 0
