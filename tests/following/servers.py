"""Git servers on loopback: git's own, one that never answers, and one with a fixed answer."""

import base64
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.private_server import free_port

TIMEOUT = 30.0
"""Seconds that a test waits for an event that must happen."""


def wait_until(condition: Callable[[], bool], seconds: float = TIMEOUT) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@contextmanager
def git_daemon(directory: Path) -> Iterator[str]:
    """Serve all repositories of a directory; yields its URL."""
    port = free_port()
    daemon = subprocess.Popen(
        [
            *("git", "daemon", "--reuseaddr", "--export-all", "--listen=127.0.0.1"),
            *(f"--port={port}", f"--base-path={directory}", str(directory)),
        ],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert wait_until(lambda: _answers(port))
        yield f"git://127.0.0.1:{port}"
    finally:
        daemon.terminate()
        daemon.wait(TIMEOUT)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def silent() -> Iterator[int]:
    """Accept connections and never answer; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        yield port


@contextmanager
def http(
    directory: Path, *, password: str | None = None, status: int = 200, body: bytes | None = None
) -> Iterator[str]:
    """git-http-backend(1) over all repositories of a directory, for a user with ``password`` if it
    is given; with ``status`` or ``body``, this answer to every request. Yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002
            """Log nothing."""

        def answer(self) -> None:
            if status != 200 or body is not None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body or b"")
                return
            expected = base64.b64encode(f"user:{password}".encode()).decode()
            if password and self.headers.get("Authorization") != f"Basic {expected}":
                self.send_response(401)
                self.send_header("WWW-Authenticate", "Basic realm=git")
                self.end_headers()
                return
            self.backend()

        def backend(self) -> None:
            path, _, query = self.path.partition("?")
            request = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            done = subprocess.run(
                ["git", "http-backend"],
                input=request,
                capture_output=True,
                check=False,
                timeout=TIMEOUT,
                env={
                    **os.environ,
                    "GIT_PROJECT_ROOT": str(directory),
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "REQUEST_METHOD": self.command,
                    "PATH_INFO": path,
                    "QUERY_STRING": query,
                    "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                    "CONTENT_LENGTH": str(len(request)),
                    "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                    "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                },
            )
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
            self.send_response(int(fields.pop("Status", "200").split()[0]))
            for name, value in fields.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
