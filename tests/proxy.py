"""A TCP proxy between a client and its server that fails at a given message."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self


class Line:
    """A connection through the proxy. ``data`` is the last message of the client, which is not yet
    sent to the server."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.data = b""
        self.is_mute = False
        self.answered = threading.Event()

    def cut(self) -> None:
        for end in (self.client, self.server):
            _close(end)

    def cut_after_the_answer(self) -> None:
        """Deliver the message, and cut the connection before the client gets the answer."""
        self.is_mute = True
        self.server.sendall(self.data)
        self.answered.wait(30)
        self.cut()

    def leave(self) -> None:
        """Cut the client's side and keep the server's side open."""
        self.is_mute = True
        _close(self.client)


class Proxy:
    """Listens on a free port. A context manager."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._actions: list[tuple[bytes, Callable[[Line], None]]] = []
        self._lock = threading.Lock()
        self.lines: list[Line] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        _close(self._listener)
        for line in self.lines:
            line.cut()

    def at(self, words: bytes, action: Callable[[Line], None]) -> None:
        """Call ``action`` instead of passing on the next message that contains ``words``.

        Each action is called once; several are expected in the order in which they were added.
        """
        with self._lock:
            self._actions.append((words, action))

    @property
    def is_done(self) -> bool:
        """Whether every action was called."""
        with self._lock:
            return not self._actions

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._target))
                except OSError:
                    _close(client)
                    continue
                line = Line(client, server)
                self.lines.append(line)
                threading.Thread(target=self._to_server, args=(line,), daemon=True).start()
                threading.Thread(target=self._to_client, args=(line,), daemon=True).start()

    def _to_server(self, line: Line) -> None:
        with suppress(OSError):
            while data := line.client.recv(65536):
                line.data = data
                action = self._due(data)
                if action is None:
                    line.server.sendall(data)
                else:
                    action(line)
        if not line.is_mute:
            line.cut()

    def _due(self, data: bytes) -> Callable[[Line], None] | None:
        with self._lock:
            if self._actions and self._actions[0][0] in data:
                return self._actions.pop(0)[1]
            return None

    def _to_client(self, line: Line) -> None:
        with suppress(OSError):
            while data := line.server.recv(65536):
                if line.is_mute:
                    line.answered.set()
                else:
                    line.client.sendall(data)
        line.cut()


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
