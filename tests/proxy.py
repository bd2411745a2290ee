"""What stands between a program and its server, and fails when it is told to."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self


class Line:
    """One connection through the proxy, at the moment that was waited for. ``data`` is what the
    program sent and the server has not got yet."""

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
        """The server has done it, and the program does not hear of it."""
        self.is_mute = True
        self.server.sendall(self.data)
        self.answered.wait(30)
        self.cut()

    def leave(self) -> None:
        """The program's end is cut; the server's stays, and waits for what comes."""
        self.is_mute = True
        _close(self.client)


class Proxy:
    """Listens on a port of its own. A context manager."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._ears = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._ears.getsockname()[1]
        self._moments: list[tuple[bytes, Callable[[Line], None]]] = []
        self._lock = threading.Lock()
        self.lines: list[Line] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        _close(self._ears)
        for line in self.lines:
            line.cut()

    def at(self, words: bytes, what: Callable[[Line], None]) -> None:
        """Once, when a program sends what holds these words: ``what`` is done in place of
        passing it on. Moments are waited for one after the other."""
        with self._lock:
            self._moments.append((words, what))

    @property
    def is_done(self) -> bool:
        """Whether every moment has come."""
        with self._lock:
            return not self._moments

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._ears.accept()
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
                what = self._due(data)
                if what is None:
                    line.server.sendall(data)
                else:
                    what(line)
        if not line.is_mute:
            line.cut()

    def _due(self, data: bytes) -> Callable[[Line], None] | None:
        with self._lock:
            if self._moments and self._moments[0][0] in data:
                return self._moments.pop(0)[1]
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
