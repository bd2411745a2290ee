"""Writes statuses by server-side apply, in a few threads of its own: the store and the next
reconcile never wait for it.

A status is written only if it differs from the one that the object has. The newest status of an
object replaces one that was not written yet. What is lost with the process is no loss: a status is
a projection of the store, and is projected again.
"""

import heapq
import logging
import random
from collections import OrderedDict
from collections.abc import Callable
from threading import Condition, Thread
from time import monotonic
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from sendroute.cluster.answers import decoder
from sendroute.cluster.api import NO_ANSWER, SHORT_TIMEOUT, ApiError, SendsRequests, path_of_object
from sendroute.cluster.objects import ClusterObject, ObjectKey
from sendroute.manifests.shapes import API_VERSION
from sendroute.manifests.statuses import ObjectStatus, decode_status, encode_status
from sendroute.runtime.backoff import Random, backoff

FIELD_MANAGER = "sendroute"

_log = logging.getLogger(__name__)

_APPLY = "application/apply-patch+yaml"
_REMEMBERED = 20_000
_FIRST_RETRY, _LONGEST_WAIT = 0.5, 60.0
_JOIN = 15.0
_SILENT = 60.0


class _StatusWrite(NamedTuple):
    """A status to be written, as it is sent. ``attempts`` are those that failed."""

    key: ObjectKey
    uid: str
    status: bytes
    attempts: int = 0


class _SentStatus(NamedTuple):
    """A status that was written, at this version of its object."""

    uid: str
    version: int
    status: bytes


class _VersionMetadata(msgspec.Struct, rename="camel"):
    uid: str = ""
    resource_version: str = ""


class _WrittenObject(msgspec.Struct):
    metadata: _VersionMetadata


_decode_written = decoder(_WrittenObject)


class StatusWriter:
    """Writes statuses in the order in which they were put, one of an object at a time.

    Args:
        api: the Kubernetes API.
        workers: how many threads write.
        random: a random number from 0 to 1, for the waits.
        clock: a monotonic clock, in seconds.
    """

    def __init__(
        self,
        api: SendsRequests,
        *,
        workers: int = 8,
        random: Random = random.random,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._api = api
        self._random = random
        self._clock = clock
        self._changed = Condition()
        self._ready: OrderedDict[ObjectKey, _StatusWrite] = OrderedDict()
        self._delayed: dict[ObjectKey, _StatusWrite] = {}
        self._due: list[tuple[float, ObjectKey]] = []
        self._busy: dict[ObjectKey, _StatusWrite] = {}
        self._sent: OrderedDict[ObjectKey, _SentStatus] = OrderedDict()
        self._paused_until = 0.0
        self._failing: set[str] = set()  # the namespaces of failures since the last success
        self._logged = -_SILENT
        self._stopped = False
        self._threads = [
            Thread(target=self._work, name=f"status-{number}", daemon=True)
            for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def depth(self) -> int:
        """How many statuses are not written yet."""
        with self._changed:
            return len(self._ready) + len(self._delayed) + len(self._busy)

    def latest(self, seen: ClusterObject) -> ClusterObject:
        """The object with the status that it has, or gets next. The one that was seen may be older
        than what was written.

        Args:
            seen: the object as it was seen last.

        Returns:
            The object with the latest status.
        """
        with self._changed:
            status = self._status_of(seen)
        return seen if status is None else replace(seen, held_status=status)

    def put(self, seen: ClusterObject, status: ObjectStatus) -> bool:
        """Write a status soon, if the object does not have it.

        Args:
            seen: the object as it was seen last.
            status: its status.

        Returns:
            Whether it will be written.
        """
        kind = seen.key.kind
        encoded = msgspec.json.encode(encode_status(status))
        with self._changed:
            if self._stopped:
                return False
            current = self._status_of(seen) or seen.status_json
            if decode_status(kind, current) == status:
                return False
            job = _StatusWrite(seen.key, seen.uid, encoded)
            if (delayed := self._delayed.get(seen.key)) is not None:
                self._delayed[seen.key] = job._replace(attempts=delayed.attempts)
            else:
                self._ready[seen.key] = job
            self._changed.notify()
        return True

    def wait(self, seconds: float) -> bool:
        """Wait until everything is written.

        Args:
            seconds: for how long at most.

        Returns:
            Whether everything is written.
        """
        with self._changed:
            return self._changed.wait_for(
                lambda: not (self._ready or self._delayed or self._busy), seconds
            )

    def stop(self) -> None:
        """Write nothing more. A request that was sent is waited for."""
        with self._changed:
            self._stopped = True
            self._ready.clear()
            self._delayed.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(_JOIN)

    def _status_of(self, seen: ClusterObject) -> bytes | None:
        """The status that is on its way, or was written and is not seen yet."""
        for jobs in (self._ready, self._delayed, self._busy):
            job = jobs.get(seen.key)
            if job is not None and job.uid == seen.uid:
                return job.status
        sent = self._sent.get(seen.key)
        if sent is None:
            return None
        if sent.uid != seen.uid or _number(seen.resource_version) >= sent.version:
            del self._sent[seen.key]
            return None
        return sent.status

    # The threads

    def _work(self) -> None:
        while (job := self._next()) is not None:
            failure: ApiError | None = None
            version = 0
            try:
                version = self._write(job)
            except ApiError as error:
                failure = error
            except Exception:  # noqa: BLE001 - a thread that ends would write nothing more
                _log.exception("The status of %s was not written.", job.key)
            with self._changed:
                del self._busy[job.key]
                if failure is not None:
                    self._retry(job, failure)
                elif version:
                    self._failing.clear()
                    self._sent[job.key] = _SentStatus(job.uid, version, job.status)
                    self._sent.move_to_end(job.key)
                    if len(self._sent) > _REMEMBERED:
                        self._sent.popitem(last=False)
                self._changed.notify_all()

    def _next(self) -> _StatusWrite | None:
        """The next status that may be written now; None at the end."""
        with self._changed:
            while not self._stopped:
                now = self._clock()
                while self._due and self._due[0][0] <= now:
                    _, key = heapq.heappop(self._due)
                    if (job := self._delayed.pop(key, None)) is not None:
                        self._ready.setdefault(key, job)
                pause = self._paused_until - now
                if pause <= 0:
                    ready = next((key for key in self._ready if key not in self._busy), None)
                    if ready is not None:
                        job = self._busy[ready] = self._ready.pop(ready)
                        return job
                waits = [pause] if pause > 0 else []
                waits += [self._due[0][0] - now] if self._due else []
                self._changed.wait(min(waits) if waits else None)
            return None

    def _write(self, job: _StatusWrite) -> int:
        key = job.key
        metadata = {"name": key.name}
        if key.namespace:
            metadata["namespace"] = key.namespace
        body = {
            "apiVersion": API_VERSION,
            "kind": key.kind,
            "metadata": metadata,
            "status": msgspec.json.decode(job.status),
        }
        answer = self._api.request(
            "PATCH",
            path_of_object(key, "status"),
            query=[("fieldManager", FIELD_MANAGER), ("force", "true")],
            body=body,
            content_type=_APPLY,
            timeout=SHORT_TIMEOUT,
        )
        return _number(_decode_written(answer).metadata.resource_version)

    def _retry(self, job: _StatusWrite, error: ApiError) -> None:
        """Decide what becomes of a status that was not written."""
        if error.status == 404:
            return  # the object is gone
        if error.status in (400, 413, 422):
            _log.error("The status of %s is refused: %s", job.key, error.message)
            return
        if self._stopped:
            return
        attempts = job.attempts + 1
        wait = max(
            error.retry_after, backoff(attempts, _LONGEST_WAIT, self._random(), _FIRST_RETRY)
        )
        now = self._clock()
        if self._is_unavailable(job.key, error):
            self._paused_until = max(self._paused_until, now + min(wait, _LONGEST_WAIT))
        if now >= self._logged + _SILENT:
            self._logged = now
            _log.warning("Statuses are not written now, among them that of %s: %s", job.key, error)
        newer = self._ready.pop(job.key, None)
        self._delayed[job.key] = (newer or job)._replace(attempts=attempts)
        heapq.heappush(self._due, (now + wait, job.key))

    def _is_unavailable(self, key: ObjectKey, error: ApiError) -> bool:
        """Whether no status can be written now. A server that fails at the objects of one namespace
        alone may fail because of them: a tenant can let an object grow until nothing fits into it
        any more, which the API answers with 500."""
        if error.status in (NO_ANSWER, 429, 503):
            return True
        if error.status not in (500, 502, 504):
            return False
        self._failing.add(key.namespace)
        return len(self._failing) > 1


def _number(version: str) -> int:
    """A version of an object as a number. Versions of one resource are numbers that grow, if they
    are numbers at all (Kubernetes API concepts, "Resource versions")."""
    return int(version) if version.isdigit() else 0
