"""An HTTPS proxy before the API server that injects faults.

A :data:`FaultInjector` decides what happens to a request: a plain function of the request and of
how many such requests came before it, so that a seed gives the same faults again.
"""

import http.client
import json
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

from tests.private_server import free_port

from .control_plane import ControlPlane, User

_REASONS = {
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}


class Call(NamedTuple):
    """A request. ``verb``: ``list``, ``watch``, ``get``, or the method in lower case; ``resource``:
    the plural, with the subresource if it has one (``sendingdomains/status``)."""

    verb: str
    resource: str
    path: str


class FaultKind(Enum):
    """What happens to a request or to its answer."""

    ERROR = "answers an error"
    CUT_BEFORE = "breaks the connection before the server gets the request"
    CUT_AFTER = "breaks the connection after the server has done it, before the client knows"
    DELAY = "delays the answer, and each event of a watch"
    CUT_WATCH = "breaks a watch after some events"
    CUT_EVENT = "breaks a watch in the middle of an event"
    END_WATCH = "ends a watch properly after some events"
    EXPIRE_WATCH = "reports 410 Gone within a watch"
    STALE_LIST = "answers a list as it was answered before"


@dataclass(frozen=True)
class InjectedFault:
    """``status``: of an answer. ``seconds``: of a delay. ``events``: that pass before."""

    kind: FaultKind
    status: int = 0
    seconds: float = 0.0
    events: int = 0


FaultInjector = Callable[[Call, int], InjectedFault | None]
"""What happens to the call that came after so many calls with the same verb and resource."""


def no_faults(_call: Call, _number: int) -> InjectedFault | None:
    return None


class FaultyApi:
    """Listens on a free port. A context manager.

    Give each client a proxy of its own: without a version a list is never older than the request
    (https://kubernetes.io/docs/reference/using-api/api-concepts/), so that no client survives if
    its first list is one of before. Later ones it must compare.

    ``calls`` counts calls by verb and resource; ``injected`` holds the faults in their order.
    """

    def __init__(self, control_plane: ControlPlane, faults: FaultInjector = no_faults) -> None:
        self.control_plane = control_plane
        self.faults = faults
        self.calls: Counter[tuple[str, str]] = Counter()
        self.injected: list[tuple[Call, int, InjectedFault]] = []
        self._lists: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._server_tls.load_cert_chain(control_plane.directory / "server.pem")
        self.client_tls = ssl.create_default_context(cafile=str(control_plane.ca_file))
        self._address = "127.0.0.1", free_port()
        self._server = self._listen()
        self.url = "https://{}:{}".format(*self._address)
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._serve()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_down()

    def admin(self) -> User:
        """The administrator, whose kubeconfig leads through this proxy."""
        return self.control_plane.admin_at(self.url)

    def go_down(self) -> None:
        """Break every connection, and refuse new ones."""
        if self._thread is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._thread = None
        self.break_connections()

    def come_up(self) -> None:
        """Accept connections again, on the same port."""
        self._server = self._listen()
        self._serve()

    def break_connections(self) -> None:
        """Break every connection that is open now."""
        with self._lock:
            broken, self._sockets = self._sockets, set()
        for connection in broken:
            with suppress(OSError):
                _shut(connection)

    def _listen(self) -> "_Server":
        return _Server(self._address, self, self._server_tls)

    def _serve(self) -> None:
        serve = self._server.serve_forever
        self._thread = threading.Thread(target=serve, args=(0.02,), daemon=True)
        self._thread.start()

    def keep(self, connection: socket.socket) -> None:
        """Remember an open connection."""
        with self._lock:
            self._sockets.add(connection)

    def drop(self, connection: socket.socket) -> None:
        """Forget a connection that is closed."""
        with self._lock:
            self._sockets.discard(connection)

    def decide(self, call: Call) -> InjectedFault | None:
        """Count a call, and return its fault."""
        with self._lock:
            number = self.calls[call.verb, call.resource]
            self.calls[call.verb, call.resource] += 1
            fault = self.faults(call, number)
            if fault is not None:
                self.injected.append((call, number, fault))
        return fault

    def remember(self, call: Call, body: bytes) -> None:
        """Keep a list, to answer it again later: the first one, and then one in three, so that it
        lags behind."""
        with self._lock:
            if call.path not in self._lists or self.calls[call.verb, call.resource] % 3 == 0:
                self._lists[call.path] = body

    def remembered(self, call: Call) -> bytes | None:
        with self._lock:
            return self._lists.get(call.path)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], api: FaultyApi, tls: ssl.SSLContext) -> None:
        self.api = api
        self._tls = tls
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        try:
            connection.getpeername()
        except OSError:  # the client has gone: TLS would not close the socket
            connection.close()
            raise
        # The handshake is done by the thread of the connection.
        wrapped = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return wrapped, address

    def handle_error(self, request: object, client_address: object) -> None:
        """A broken connection is what this proxy is for."""


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client, and one to the API server."""

    protocol_version = "HTTP/1.1"
    server: _Server
    upstream: http.client.HTTPSConnection | None = None
    answer: http.client.HTTPResponse | None = None

    def setup(self) -> None:
        self.api = self.server.api
        self.api.keep(self.request)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().setup()

    def handle(self) -> None:
        with suppress(OSError, ValueError, http.client.HTTPException):
            super().handle()

    def finish(self) -> None:
        self.api.drop(self.request)
        self._hang_up()
        with suppress(OSError, ValueError):
            super().finish()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is its base's
        pass

    def do_any(self) -> None:
        call = _call(self.command, self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else None
        fault = self.api.decide(call)
        if fault is None:
            self._pass_on(call, body, None)
        elif fault.kind is FaultKind.ERROR:
            self._answer_error(fault.status)
        elif fault.kind is FaultKind.CUT_BEFORE:
            self._cut()
        elif fault.kind is FaultKind.CUT_AFTER:
            self._ask(body).read()
            self._cut()
        elif fault.kind is FaultKind.STALE_LIST and (text := self.api.remembered(call)) is not None:
            self._answer(200, text, {"Content-Type": "application/json"})
        else:
            if fault.kind is FaultKind.DELAY:
                time.sleep(fault.seconds)
            self._pass_on(call, body, fault)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_any  # noqa: N815

    def _pass_on(self, call: Call, body: bytes | None, fault: InjectedFault | None) -> None:
        answer = self._ask(body)
        if call.verb == "watch" and answer.status == 200:
            self._pass_events_on(answer, fault)
            return
        text = answer.read()
        is_later_page = "continue=" in self.path
        if call.verb == "list" and answer.status == 200 and not is_later_page and _is_whole(text):
            self.api.remember(call, text)
        kept = ("Content-Type", "Retry-After", "Warning")
        self._answer(
            answer.status,
            text,
            {name: answer.headers[name] for name in kept if name in answer.headers},
        )

    def _pass_events_on(
        self, answer: http.client.HTTPResponse, fault: InjectedFault | None
    ) -> None:
        """Pass the events of a watch on one by one, until its fault."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        left = fault.events if fault else -1
        while True:
            event = (
                b""
                if fault and left == 0 and fault.kind is not FaultKind.CUT_EVENT
                else (answer.readline())
            )
            if fault and left == 0:
                if fault.kind is FaultKind.CUT_EVENT:
                    self._write_chunk(event[: len(event) // 2])
                if fault.kind is FaultKind.EXPIRE_WATCH:
                    status = json.dumps({"type": "ERROR", "object": _status(410)})
                    self._write_chunk(status.encode() + b"\n")
                if fault.kind in (FaultKind.CUT_WATCH, FaultKind.CUT_EVENT):
                    self._cut()
                    return
                if fault.kind in (FaultKind.EXPIRE_WATCH, FaultKind.END_WATCH):
                    break
            if not event:
                break
            if fault and fault.kind is FaultKind.DELAY:
                time.sleep(fault.seconds)
            self._write_chunk(event)
            left -= 1
        self.wfile.write(b"0\r\n\r\n")
        self._hang_up()  # the rest of the watch

    def _write_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _ask(self, body: bytes | None) -> http.client.HTTPResponse:
        """Send the request to the API server; without an answer the client gets none either."""
        if self.upstream is None:
            host = self.api.control_plane.url.removeprefix("https://")
            self.upstream = http.client.HTTPSConnection(host, context=self.api.client_tls)
            self.upstream.connect()
            self.api.keep(self.upstream.sock)
        passed = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in ("host", "connection", "content-length", "accept-encoding")
        }
        self.upstream.request(self.command, self.path, body, passed)
        self.answer = self.upstream.getresponse()
        return self.answer

    def _answer_error(self, status: int) -> None:
        headers = {"Content-Type": "application/json"}
        if status == 429:
            headers["Retry-After"] = "0"
        self._answer(status, json.dumps(_status(status)).encode(), headers)

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _cut(self) -> None:
        self.close_connection = True
        _shut(self.request)

    def _hang_up(self) -> None:
        if self.answer is not None:
            self.answer.close()
            self.answer = None
        if self.upstream is not None:
            if self.upstream.sock is not None:
                self.api.drop(self.upstream.sock)
            self.upstream.close()
            self.upstream = None


def _call(method: str, target: str) -> Call:
    """What a request asks for, by its path: ``[/api/v1|/apis/GROUP/VERSION][/namespaces/NS]/…``."""
    url = urlsplit(target)
    parts = url.path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        rest = rest[2:]
    resource = "/".join([*rest[:1], *rest[2:]])
    query = parse_qs(url.query)
    if method != "GET":
        verb = method.lower()
    elif query.get("watch", ["0"])[0] in ("1", "true", "True"):
        verb = "watch"
    else:
        verb = "list" if len(rest) == 1 else "get"
    return Call(verb, resource, url.path)


def _shut(connection: socket.socket) -> None:
    """Shut a connection down below TLS, which says no farewell then, from any thread."""
    socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _is_whole(text: bytes) -> bool:
    """Whether a list has all objects, and not only the first page of them."""
    metadata = json.loads(text).get("metadata", {})
    return not metadata.get("continue")


def _status(code: int) -> dict[str, Any]:
    """https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/"""
    return {
        "apiVersion": "v1",
        "kind": "Status",
        "metadata": {},
        "status": "Failure",
        "message": "a fault of the tests",
        "reason": _REASONS[code],
        "code": code,
    }
