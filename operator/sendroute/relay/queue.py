"""Which retired aliases no mail can take any more.

Postfix decides the nexthop of a message when it enters the active queue, and keeps it until the
message leaves that queue (qmgr(8)). Deferred mail is decided again at each try. So an alias is free
when every message has left the active queue that was in it after the last route through the alias
was gone.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, NamedTuple

_CACHED = 60.0
"""Seconds after which no new message gets a retired alias: a process of Postfix remembers its last
answer for 30 seconds (trivial-rewrite(8))."""


def active_messages(lines: Iterable[str]) -> frozenset[str]:
    """The messages in the active queue.

    Args:
        lines: the output of ``postqueue -j`` (postqueue(1)): one JSON object a line.

    Returns:
        Their queue ids.

    Raises:
        ValueError: a line has another form.
    """
    return frozenset(_active(lines))


def _active(lines: Iterable[str]) -> Iterable[str]:
    for line in lines:
        if not line.strip():
            continue
        match json.loads(line):
            case {"queue_name": str(queue), "queue_id": str(identity)}:
                if queue == "active":
                    yield identity
            case other:
                raise ValueError(f"not a message of a queue: {_kind(other)}")


def _kind(value: Any) -> str:
    return type(value).__name__  # no part of a message, which is of a tenant


class RetiredAliases:
    """Remembers, for each retired alias, the messages that may still take it."""

    def __init__(self) -> None:
        self._waits_for: dict[tuple[str, float], frozenset[str]] = {}

    def due(self, retired: Mapping[str, float], now: float) -> bool:
        """Whether the queue must be read: an alias may be free."""
        return any(now - since >= _CACHED for since in retired.values())

    def free(self, retired: Mapping[str, float], active: frozenset[str], now: float) -> list[str]:
        """The aliases that no message can take any more.

        Args:
            retired: each retired alias, with the time since when no route leads to it.
            active: the messages in the active queue.
            now: the present time.

        Returns:
            The aliases, in order.
        """
        waits_for = {
            (alias, since): self._waits_for.get((alias, since), active) & active
            for alias, since in retired.items()
            if now - since >= _CACHED
        }
        self._waits_for = {retirement: left for retirement, left in waits_for.items() if left}
        return sorted(alias for (alias, _), left in waits_for.items() if not left)


class QueueReading(NamedTuple):
    """What was read of the queue. ``retired`` and ``at`` are of the time at which the reading
    began; ``active`` is None if the queue cannot be read."""

    retired: Mapping[str, float]
    at: float
    active: frozenset[str] | None


class QueueReader:
    """Reads the queue in a thread of its own: to list a long queue takes long, and the disk of the
    queue may hang, while revisions must be written.

    Args:
        active_messages: reads the messages in the active queue.
        wake: is called when a reading has ended.
    """

    def __init__(
        self, active_messages: Callable[[], frozenset[str] | None], wake: Callable[[], None]
    ) -> None:
        self._active_messages = active_messages
        self._wake = wake
        self._ended: SimpleQueue[QueueReading] = SimpleQueue()
        self._thread: Thread | None = None

    def start(self, retired: Mapping[str, float]) -> None:
        """Begin a reading, unless one has not ended.

        Args:
            retired: each retired alias, with the time since when no route leads to it.
        """
        if self._thread is None or not self._thread.is_alive():
            reading = (dict(retired), time.time())
            self._thread = Thread(target=self._read, args=reading, name="queue", daemon=True)
            self._thread.start()

    def _read(self, retired: Mapping[str, float], at: float) -> None:
        self._ended.put(QueueReading(retired, at, self._active_messages()))
        self._wake()

    def ended(self) -> QueueReading | None:
        """The reading that has ended; None if none has since the last call."""
        try:
            return self._ended.get_nowait()
        except Empty:
            return None
