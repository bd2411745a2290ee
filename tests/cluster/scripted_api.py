"""A small HTTP server that answers as a script says, in place of the Kubernetes API."""

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kubernetes import client

from sendroute.cluster.api import Api
from sendroute.manifests.shapes import API_VERSION


def item(kind: str, name: str, version: int, spec: Any, namespace: str = "acme") -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}",
            "generation": 1,
            "resourceVersion": str(version),
            "creationTimestamp": "2026-11-28T10:00:00Z",
        },
        "spec": spec,
    }


def domain(name: str, version: int) -> dict[str, Any]:
    return item(
        "SendingDomain", name, version, {"account": "acme", "domain": f"{name}.example.com"}
    )


class ScriptedResponse:
    """One answer. ``events`` are the lines of a watch, which ``lasting`` keeps open afterwards.
    ``replaces``: parts of its text, and what is sent in their place."""

    def __init__(
        self,
        status: int = 200,
        body: Any = None,
        *,
        events: list[Any] | None = None,
        lasting: bool = False,
        headers: dict[str, str] | None = None,
        cut: bool = False,
    ) -> None:
        self.status = status
        self.body = body
        self.events = events
        self.lasting = lasting
        self.headers = headers or {}
        self.cut = cut
        self.replaces: dict[bytes, bytes] = {}

    def text(self, value: Any) -> bytes:
        """A body, or an event, as it is sent."""
        text = json.dumps(value).encode()
        for part, sent in self.replaces.items():
            text = text.replace(part, sent)
        return text


def page(items: list[Any], version: int, following: str = "") -> ScriptedResponse:
    metadata = {"resourceVersion": str(version), "continue": following}
    return ScriptedResponse(body={"kind": "List", "metadata": metadata, "items": items})


def refusal(status: int, reason: str = "", **headers: str) -> ScriptedResponse:
    body = {"kind": "Status", "message": f"refused with {status}", "reason": reason, "code": status}
    return ScriptedResponse(status, body, headers=headers)


def watch(*events: tuple[str, Any], lasting: bool = True) -> ScriptedResponse:
    lines = [{"type": kind, "object": value} for kind, value in events]
    return ScriptedResponse(events=lines, lasting=lasting)


class ScriptedApi:
    """Answers are taken from ``script`` in order; then ``otherwise`` answers each request.
    ``requests`` are the parameters of each, with the time of its arrival."""

    def __init__(self) -> None:
        self.script: deque[ScriptedResponse] = deque()
        self.otherwise: Callable[[dict[str, str]], ScriptedResponse] = lambda _query: watch()
        self.requests: list[tuple[float, dict[str, str]]] = []
        self.ended = threading.Event()
        self.api = Api(None)

    def answer(self, target: str) -> ScriptedResponse:
        query = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
        self.requests.append((time.monotonic(), query))
        return self.script.popleft() if self.script else self.otherwise(query)

    @property
    def queries(self) -> list[dict[str, str]]:
        return [query for _, query in self.requests]


@contextmanager
def scripted_api() -> Iterator[ScriptedApi]:
    scripted = ScriptedApi()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer = scripted.answer(self.path)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name.replace("_", "-"), value)
            if answer.events is None:
                body = answer.text(answer.body)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if answer.cut else body)
                self.close_connection = answer.cut
                return
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for event in answer.events:
                line = answer.text(event) + b"\n"
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                self.wfile.flush()
            if answer.lasting:
                scripted.ended.wait()
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    configuration = client.Configuration()
    configuration.host = f"http://127.0.0.1:{server.server_port}"
    configuration.retries = False
    scripted.api = Api(client.ApiClient(configuration))
    try:
        yield scripted
    finally:
        scripted.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
