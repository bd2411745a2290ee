"""The server's replies, strictly parsed and limited in size.

Postfix skips lines that are no SMTP, and waits for one that is. Here they end the test, because
what sends them is mostly no SMTP server, and would be waited for until the deadline.

aiosmtplib's protocol limits a reply in bytes, but it accepts invalid codes (``int(b"+25")``),
drops what the server sends unasked, including text injected after STARTTLS, and scans its buffer
again for every line that arrives. So every byte is checked here first, and aiosmtplib receives only
complete replies that are due.
"""

from aiosmtplib.protocol import SMTPProtocol

MAX_LINE = 2048
"""Octets. RFC 5321, section 4.5.3.1.5 allows 512; Postfix reads 2048 (line_length_limit)."""
MAX_LINES = 128
"""Lines of one reply; the longest EHLO replies have about 20."""
MAX_REPLY = 16 << 10
SHUTDOWN = "ended the session (421)"
"""The violation of a server that must shut down: it may send 421 at any time (RFC 5321, section
3.8)."""
MAX_SESSION = 64 << 10
"""Octets of all replies of one test."""
_STARTTLS = b"STARTTLS\r\n"


def is_success(code: int) -> bool:
    """Whether a reply says that the command succeeded: the first digit decides, because a client
    may meet codes that it does not know (RFC 5321, sections 4.2 and 4.3.2). Postfix does so too."""
    return 200 <= code < 300


class Replies(SMTPProtocol):
    """An aiosmtplib protocol that closes the connection at the first violation.

    ``violation`` completes a sentence that begins with "The server"; ``lost`` is the error by which
    the connection was lost. ``lines`` are those of the last reply, without their ends: aiosmtplib's
    own text of it lacks some blanks. Each written command makes one reply due.
    """

    def __init__(self) -> None:
        super().__init__()
        self.violation: str | None = None
        self.lost: Exception | None = None
        self.lines: tuple[bytes, ...] = ()
        self._due = 1  # the greeting
        self._unread = bytearray()
        self._reply: list[bytes] = []
        self._received = 0
        self._starts_tls = False

    @property
    def heard(self) -> bool:
        """Whether the server has sent anything."""
        return self._received > 0

    def write(self, data: bytes) -> None:
        self._due += 1
        self._starts_tls = data == _STARTTLS
        super().write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = self.lost or exc
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.violation is not None:
            return None
        self._received += len(data)
        self._unread += data
        while self.violation is None and self._unread:
            if not self._due:
                return self._abort(_unexpected(self._unread))
            line, newline, rest = self._unread.partition(b"\n")
            if len(line) > MAX_LINE:
                return self._abort(f"sent a line of more than {MAX_LINE} characters")
            if not newline:
                break
            self._unread = rest
            self._accept(bytes(line).rstrip(b"\r"))
        return None

    def _accept(self, line: bytes) -> None:
        """Accept one line. RFC 5321, section 4.2: three digits, then a space and text, a hyphen
        where more lines follow, or nothing. The code of the last line is the reply's, as for
        Postfix."""
        code, separator = line[:3], line[3:4]
        if len(code) < 3 or not code.isdigit() or code[0] not in b"2345" or separator not in b"- ":
            return self._abort("sent something that is not an SMTP reply")
        self._reply.append(line)
        if len(self._reply) > MAX_LINES:
            return self._abort(f"sent a reply of more than {MAX_LINES} lines")
        if sum(map(len, self._reply)) > MAX_REPLY:
            return self._abort(f"sent a reply of more than {MAX_REPLY >> 10} KiB")
        if separator == b"-":
            return None
        reply = b"".join(part + b"\r\n" for part in self._reply)
        if self._starts_tls and is_success(int(code)):
            reply = b"220 \r\n"  # the only code that aiosmtplib accepts there
        self.lines, self._reply = tuple(self._reply), []
        self._due -= 1
        if self._unread and not self._due:
            return self._abort(_unexpected(self._unread))
        if self._received > MAX_SESSION:
            return self._abort(f"sent more than {MAX_SESSION >> 10} KiB")
        return super().data_received(reply)

    def _abort(self, violation: str) -> None:
        self.violation = violation
        self._unread.clear()
        self._reply.clear()
        if self.transport is not None:
            self.transport.abort()  # type: ignore[attr-defined]


def _unexpected(unread: bytearray) -> str:
    if unread.startswith(b"421"):
        return SHUTDOWN
    return "sent data before a command"
