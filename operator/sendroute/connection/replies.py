"""The server's side of the conversation, bounded and strict.

aiosmtplib's own protocol bounds a reply in bytes, but it takes odd codes (``int(b"+25")``), throws
away what the server sends out of turn, text injected after STARTTLS included, and works through
its buffer anew for every line of a drip. So every byte passes here first, and it is given whole
replies only, each one due.
"""

from aiosmtplib.protocol import SMTPProtocol

LINE_AT_MOST = 2048
"""Octets. RFC 5321, 4.5.3.1.5 allows 512; Postfix reads 2048 (line_length_limit)."""
LINES_AT_MOST = 128
"""Lines of one reply; the longest EHLO replies have about 20."""
REPLY_AT_MOST = 16 << 10
SESSION_AT_MOST = 64 << 10
"""Octets of all replies of one test."""


class Replies(SMTPProtocol):
    """An aiosmtplib protocol that ends the connection at the first thing wrong and keeps it in
    ``wrong``, as the end of a sentence that begins with "The server"; ``lost`` is the error that
    the connection was lost by. Each command that is written makes one reply due."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: str | None = None
        self.lost: Exception | None = None
        self._due = 1  # the greeting
        self._unread = bytearray()
        self._reply: list[bytes] = []
        self._received = 0

    def write(self, data: bytes) -> None:
        self._due += 1
        super().write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = self.lost or exc
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.wrong is not None:
            return None
        self._received += len(data)
        self._unread += data
        while self.wrong is None and self._unread:
            if not self._due:
                return self._end(_out_of_turn(self._unread))
            line, newline, rest = self._unread.partition(b"\n")
            if len(line) > LINE_AT_MOST:
                return self._end(f"sent a line of more than {LINE_AT_MOST} characters")
            if not newline:
                break
            self._unread = rest
            self._take(bytes(line).removesuffix(b"\r"))
        return None

    def _take(self, line: bytes) -> None:
        """One line. RFC 5321, 4.2: three digits, then a space and text, a hyphen where more lines
        of the same code follow, or nothing."""
        code, more = line[:3], line[3:4]
        if len(code) < 3 or not code.isdigit() or code[0] not in b"2345" or more not in b"- ":
            return self._end("sent something that is no SMTP reply")
        if self._reply and code != self._reply[0][:3]:
            return self._end("sent one reply with two codes")
        self._reply.append(line)
        if len(self._reply) > LINES_AT_MOST:
            return self._end(f"sent a reply of more than {LINES_AT_MOST} lines")
        if sum(map(len, self._reply)) > REPLY_AT_MOST:
            return self._end(f"sent a reply of more than {REPLY_AT_MOST >> 10} KiB")
        if more == b"-":
            return None
        whole = b"".join(part + b"\r\n" for part in self._reply)
        self._reply = []
        self._due -= 1
        if self._unread and not self._due:
            return self._end(_out_of_turn(self._unread))
        if self._received > SESSION_AT_MOST:
            return self._end(f"sent more than {SESSION_AT_MOST >> 10} KiB")
        return super().data_received(whole)

    def _end(self, wrong: str) -> None:
        self.wrong = wrong
        self._unread.clear()
        self._reply.clear()
        if self.transport is not None:
            self.transport.abort()  # type: ignore[attr-defined]


def _out_of_turn(unread: bytearray) -> str:
    """RFC 5321, 3.8: a server that must shut down may say 421 at any time."""
    if unread.startswith(b"421"):
        return "ended the session (421)"
    return "sent something before it was asked"
