"""An API that records requests, and fails as a test says."""

import json
from collections.abc import Callable
from threading import Condition, Event
from typing import Any, NamedTuple

from sendroute.cluster.api import ApiError


class Request(NamedTuple):
    method: str
    path: str
    query: Any
    body: Any
    content_type: str


class RecordingApi:
    """``fails`` decides, for each request and its number, with which error it fails. ``gate``
    holds requests back until it is set."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.fails: Callable[[Request, int], ApiError | None] = lambda *_: None
        self.answers: dict[str, Any] = {}
        self.gate = Event()
        self.gate.set()
        self.at_once = self.most_at_once = 0
        self._changed = Condition()

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Any = (),
        body: Any = None,
        content_type: str = "application/json",
        timeout: tuple[float, float] = (1, 1),
    ) -> bytes:
        assert timeout[1] <= 10, "a thread must end"
        request = Request(method, path, query, body, content_type)
        with self._changed:
            number = len(self.requests)
            self.requests.append(request)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            self._changed.notify_all()
        self.gate.wait(20)
        with self._changed:
            self.at_once -= 1
        if (error := self.fails(request, number)) is not None:
            raise error
        answer = self.answers.get(path, {"metadata": {"resourceVersion": str(1000 + number)}})
        return json.dumps(answer).encode()

    def wait_for(self, count: int, seconds: float = 20) -> None:
        """Wait until so many requests have begun."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= count, seconds)
