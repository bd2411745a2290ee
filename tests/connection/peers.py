"""Real peers on loopback: a scripted SMTP server, a DNS server, a certificate authority."""

import base64
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import trustme

from sendroute.connection.resolve import Nameserver, Resolver
from sendroute.model import connection as outcomes
from sendroute.model.credential import Credential
from sendroute.model.desired import AccountKey

HOST = "smtp.example.test"
CLIENT = "client.example.test"
"""The name for EHLO."""
SHOP = AccountKey("acme", "shop")
CANARY = Credential("canary-user-7f3", "canary-Pa55-word-91c")
LOOPBACK = ("127.0.0.0/8", "::1/128")

Reply = bytes | Callable[["Talk"], None]
"""How a server answers a command: with bytes, or by a function."""


class Talk:
    """The server's side of a connection."""

    def __init__(self, connected: socket.socket, stopped: threading.Event) -> None:
        self.connected = connected
        self.stopped = stopped
        self.lines: list[bytes] = []
        self.in_tls = False
        self._unread = b""

    def send(self, data: bytes) -> None:
        self.connected.sendall(data)

    def line(self) -> bytes | None:
        """The next line without its end; None at the end of the connection."""
        while b"\r\n" not in self._unread:
            data = self.connected.recv(4096)
            if not data:
                return None
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\r\n")
        self.lines.append(line)
        return line

    def wrap(self, context: ssl.SSLContext) -> None:
        self.connected = context.wrap_socket(self.connected, server_side=True)
        self.in_tls = True

    def stall(self) -> None:
        """Send nothing until the client disconnects or the server stops."""
        self.connected.settimeout(0.05)
        while not self.stopped.is_set():
            try:
                if not self.connected.recv(4096):
                    return
            except TimeoutError:
                continue

    def repeat(self, data: bytes, pause: float = 0.0) -> None:
        """Send the same bytes repeatedly."""
        while not self.stopped.wait(pause):
            self.connected.sendall(data)


@dataclass
class Server:
    """A scripted SMTP server. ``answers`` replaces its answer to a command; ``TLS`` is the
    handshake, ``GREETING`` the first reply, ``TLS-EHLO`` an EHLO in TLS."""

    answers: dict[str, Reply] = field(default_factory=dict)
    context: ssl.SSLContext | None = None
    implicit: bool = False
    address: str = "127.0.0.1"
    port: int = 0
    talks: list[Talk] = field(default_factory=list)
    open_at_once: int = 0

    def start(self) -> None:
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        self._listening = socket.create_server((self.address, self.port), family=family, backlog=64)
        self.port = self._listening.getsockname()[1]
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def stop(self) -> None:
        self._stopped.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for talk in self.talks:
            with suppress(OSError):
                talk.connected.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()

    @property
    def lines(self) -> list[bytes]:
        """Every line of every connection."""
        return [line for talk in self.talks for line in talk.lines]

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                connected, _ = self._listening.accept()
            except OSError:
                return
            talk = Talk(connected, self._stopped)
            self.talks.append(talk)
            thread = threading.Thread(target=self._serve, args=(talk,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, talk: Talk) -> None:
        with self._lock:
            self.open_at_once += 1
        try:
            self._talk(talk)
        except OSError:
            pass  # the client disconnected or refused the handshake
        finally:
            with self._lock:
                self.open_at_once -= 1
            with suppress(OSError):
                talk.connected.shutdown(socket.SHUT_RDWR)
            talk.connected.close()

    def _talk(self, talk: Talk) -> None:
        if self.implicit and not self._handshake(talk):
            return
        if not self._do(talk, "GREETING", b"220 mx.example.test ESMTP\r\n"):
            return
        while (line := talk.line()) is not None:
            verb = line.split(b" ")[0].upper().decode()
            if verb == "EHLO":
                tls = b"" if self.context is None or talk.in_tls else b"250-STARTTLS\r\n"
                key = "TLS-EHLO" if talk.in_tls and "TLS-EHLO" in self.answers else "EHLO"
                usual: Reply = b"250-hello\r\n" + tls + b"250 AUTH PLAIN LOGIN\r\n"
                go_on = self._do(talk, key, usual)
            elif verb == "STARTTLS":
                go_on = self._do(talk, verb, b"220 go ahead\r\n")
                if go_on and self.context is not None and "STARTTLS" not in self.answers:
                    go_on = self._handshake(talk)
            elif verb == "QUIT":
                self._do(talk, verb, b"221 bye\r\n")
                return
            else:
                go_on = self._do(talk, verb, b"235 2.7.0 welcome\r\n")
            if not go_on:
                return

    def _handshake(self, talk: Talk) -> bool:
        if "TLS" in self.answers:
            return self._do(talk, "TLS", b"")
        assert self.context is not None
        talk.wrap(self.context)
        return True

    def _do(self, talk: Talk, verb: str, usual: Reply) -> bool:
        """Whether the session continues: it ends when a function that answers returns."""
        answer = self.answers.get(verb, usual)
        if isinstance(answer, bytes):
            talk.send(answer)
            return True
        answer(talk)
        return False


def stall(talk: Talk) -> None:
    talk.stall()


def hang_up(talk: Talk) -> None:
    """Close the connection without an answer."""


Zone = Callable[[str, str, int], list[str] | str | None]


def _port_for_tcp_and_udp() -> tuple[socket.socket, socket.socket]:
    """A port that is free for both TCP and UDP; another process may use one of the two."""
    for _ in range(50):
        tcp = socket.create_server(("127.0.0.1", 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(tcp.getsockname())
        except OSError:
            tcp.close()
            udp.close()
        else:
            return tcp, udp
    raise AssertionError("no port is free for both TCP and UDP")


class Dns:
    """A name server: ``zone(name, type, asked)`` returns addresses, the name of an rcode, or None
    for no answer; ``asked`` is how often this query came before."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.asked: list[tuple[str, str, str]] = []
        self.truncates = False
        self.cnames: dict[str, str] = {}
        self._tcp, self._udp = _port_for_tcp_and_udp()
        self.port: int = self._tcp.getsockname()[1]
        self._threads = [
            threading.Thread(target=run, daemon=True) for run in (self._serve_udp, self._serve_tcp)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        with suppress(OSError):
            self._tcp.shutdown(socket.SHUT_RDWR)
        self._tcp.close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waking:
            waking.sendto(b"", ("127.0.0.1", self.port))
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()
        self._udp.close()

    def _serve_udp(self) -> None:
        while True:
            data, client = self._udp.recvfrom(4096)
            if not data:
                return
            answer = self._answer(data, "udp")
            if answer is not None:
                self._udp.sendto(answer, client)

    def _serve_tcp(self) -> None:
        while True:
            try:
                connected, _ = self._tcp.accept()
            except OSError:
                return
            with connected, suppress(OSError):
                length = int.from_bytes(connected.recv(2, socket.MSG_WAITALL))
                answer = self._answer(connected.recv(length, socket.MSG_WAITALL), "tcp")
                if answer is not None:
                    connected.sendall(len(answer).to_bytes(2) + answer)

    def _answer(self, data: bytes, over: str) -> bytes | None:
        try:
            query = dns.message.from_wire(data)
        except dns.exception.DNSException:
            return None
        question = query.question[0]
        name, kind = str(question.name), question.rdtype.name
        before = sum(1 for asked in self.asked if asked[:2] == (name, kind))
        self.asked.append((name, kind, over))
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        if self.truncates and over == "udp":
            reply.flags |= dns.flags.TC
            return reply.to_wire()
        target = name
        while target in self.cnames:
            alias = self.cnames[target]
            reply.answer.append(dns.rrset.from_text(target, 60, "IN", "CNAME", alias))
            target = alias
        answer = self.zone(target, kind, before)
        if answer is None:
            return None
        if isinstance(answer, str):
            reply.set_rcode(dns.rcode.from_text(answer))
        elif answer:
            reply.answer.append(dns.rrset.from_text(target, 60, "IN", kind, *answer))
        return reply.to_wire()


@dataclass(frozen=True)
class Authority:
    ca: trustme.CA
    file: str

    def context(self, *names: str, **settings: object) -> ssl.SSLContext:
        """The context of a server with a certificate for these names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate = self.ca.issue_cert(*(names or (HOST,)), **settings)  # type: ignore[arg-type]
        certificate.configure_cert(context)
        return context


Check = Callable[..., outcomes.TestResult]
Serve = Callable[..., Server]
Hosts = Callable[..., Resolver]
NameServer = Callable[[Zone], Dns]


def asking(server: Dns) -> Resolver:
    return Resolver((Nameserver("127.0.0.1", server.port),), hosts_file=None)


def secret_forms() -> list[str]:
    plain = f"\0{CANARY.username}\0{CANARY.password}".encode()
    texts = [CANARY.username, CANARY.password, base64.b64encode(plain).decode()]
    texts += [base64.b64encode(text.encode()).decode() for text in texts[:2]]
    return texts


def assert_contains_no_secret(text: str) -> None:
    for secret in secret_forms():
        assert secret not in text
