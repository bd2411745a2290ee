"""The HTTP server next to a loop: small, for few clients; it never blocks the loop."""

import io
import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import TCPServer, ThreadingMixIn
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from sendroute.telemetry.app import SERVER, application
from sendroute.telemetry.health import Health
from sendroute.telemetry.listen import listening, local_address

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_CONNECTION_TIMEOUT = 5.0
"""Seconds for a connection from its first byte to its last."""
_MAX_CONNECTIONS = 64
"""Concurrent connections; for a further one the oldest is closed."""
_POLL = 0.1

_log = logging.getLogger(__name__)


@contextmanager
def serving(address: str, health: Health, registry: "CollectorRegistry") -> Iterator[str]:
    """Serve ``/metrics``, ``/healthz`` and ``/readyz`` while the block runs.

    Args:
        address: ``HOST:PORT``, as for :func:`~sendroute.telemetry.listen.listening`.
        health: what the health pages answer.
        registry: the metrics.

    Yields:
        ``http://HOST:PORT``, with the actual port.

    Raises:
        ProblemError: the address is invalid or in use.
    """
    with listening(address) as listener:
        server = _Server(listener)
        server.set_app(application(health, registry))
        thread = Thread(target=server.serve_forever, args=(_POLL,), name="telemetry", daemon=True)
        thread.start()
        try:
            yield f"http://{local_address(listener)}"
        finally:
            server.shutdown()
            thread.join()
            server.hang_up(0)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, listener: socket.socket) -> None:
        # Not HTTPServer's bind: it resolves this machine's name with DNS.
        TCPServer.__init__(self, ("", 0), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_name, self.server_port = "localhost", listener.getsockname()[1]
        self.setup_environ()
        self._since: dict[socket.socket, float] = {}
        self._guard = Lock()

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002
        """Make room for every new connection, so that slow clients cannot keep out a health probe,
        which takes milliseconds. A dict keeps the order of insertion: the first is the oldest."""
        with self._guard:
            oldest = next(iter(self._since)) if len(self._since) >= _MAX_CONNECTIONS else None
            if oldest is not None:
                del self._since[oldest]
            self._since[request] = time.monotonic()
        if oldest is not None:
            _hang_up(oldest)
        return True

    def service_actions(self) -> None:
        """Called between requests, at least every tenth of a second."""
        self.hang_up(_CONNECTION_TIMEOUT)

    def hang_up(self, age: float) -> None:
        """Close the connections that are this old: a client that sends a byte now and then would
        otherwise keep one forever."""
        with self._guard:
            before = time.monotonic() - age
            old = [request for request, since in self._since.items() if since <= before]
        for request in old:
            _hang_up(request)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._since.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """A client disconnected or did not send HTTP."""
        _log.debug("A telemetry connection ended early.", exc_info=True)


def _hang_up(request: socket.socket) -> None:
    """End a connection. Its thread then closes it, because its next read or write fails."""
    with suppress(OSError):  # it is closed already
        request.shutdown(socket.SHUT_RDWR)


class _Handler(WSGIRequestHandler):
    timeout = _CONNECTION_TIMEOUT

    def version_string(self) -> str:
        """For the answers of http.server itself, such as 414: without the version of Python."""
        return SERVER

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        _log.debug(format, *args)

    def get_stderr(self) -> Any:
        return _Errors()


class _Errors(io.TextIOBase):
    """Receives the error of a page that is answered with 500."""

    def write(self, text: str, /) -> int:
        _log.error("A telemetry page failed: %s", text.rstrip())
        return len(text)
