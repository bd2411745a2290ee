"""Goal 10: how fast a Postfix delivers by routes, beside the same Postfix with one relayhost.

Both are private instances of the tests and stay up. The sink is Postfix's own smtp-sink(1), which
is faster than they are and offers no TLS, so nothing but the routing differs.
"""

import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from subprocess import Popen

from lab import Lab
from measuring import FailedRunError, Run, interleaved
from table import Row
from tests.postfix.programs import mail_owner, program, why_not
from tests.postfix.providers import Provider
from tests.postfix.sending import Sending, account, domain, profile, through
from tests.postfix.server import SMTP_PORT, MailServer
from tests.private_server import PrivateServer

LIMIT = 1 / 0.7
"""Of the time; the goal is 0.7 of the throughput."""
_SENDERS = 10
"""Domains that send at the same time, each through a profile of its own."""
_HOST, _PORT = "smtp.sink.test", 2525
_DEADLINE = 300.0


def measure(lab: Lab) -> Iterator[Row]:
    mails = lab.size(3_000)
    case = f"{mails:,} mails of {_SENDERS} domains: by routes / by one relayhost"
    if (reason := why_not()) is not None:
        print(f"SKIPPED, goal 10: NO REAL MAIL: {reason}", file=sys.stderr)
        yield Row("10", case, "-", note=f"SKIPPED, NO REAL MAIL: {reason}")
        return
    # Postfix's own user enters it.
    with ExitStack() as ends, tempfile.TemporaryDirectory(prefix="sendroute-bench-mail-") as home:
        Path(home).chmod(0o755)
        routed, plain = _servers(Path(home), ends)
        took = interleaved(
            {
                "routed": lambda: _deliver(routed, mails, "relay=p"),
                "plain": lambda: _deliver(plain, mails, f"relay={_HOST}"),
            },
            lab.rounds(5),
        )
    ours, other = took["routed"].seconds, took["plain"].seconds
    yield Row("10", case, *(f"{mails / s:.0f}/s" for s in (ours, other)), ours / other, LIMIT)


def _servers(home: Path, ends: ExitStack) -> tuple[MailServer, MailServer]:
    """A Postfix with routes, and one with a relayhost; both deliver to one sink."""
    for name in ("routed", "plain"):
        (home / name).mkdir()
    sending = Sending(home / "routed")
    ends.callback(sending.stop)
    sink = Provider(_HOST, sending.addresses.next())
    sending.providers.hosts[_HOST] = sink
    command = (
        *(str(program("smtp-sink")), "-u", mail_owner(), "-m", "1000"),
        *(f"inet:{sink.address}:{_PORT}", "100"),
    )
    server = PrivateServer(command, home / "sink.log", env=sending.server.environment)
    ends.callback(server.stop, signal.SIGKILL)
    for number in range(_SENDERS):
        name = f"tenant{number}"
        sending.documents += [
            account(name),
            profile(name, "own", _HOST, _PORT, "none", None),
            domain(name, f"{name}.test", through("own")),
        ]
    sending.start()
    plain = MailServer(home / "plain", sending.addresses)
    ends.callback(plain.stop)
    main_cf = plain.config / "main.cf"
    lines = main_cf.read_text().replace("[relayhost.test]", f"[{_HOST}]:{_PORT}")
    main_cf.write_text(lines + "smtp_host_lookup = dns\n")
    plain.knows({_HOST: sink.address})
    (plain.tables / "tables.sqlite").touch()  # nothing waits for an agent
    plain.start()
    plain.wait_until_it_accepts()
    return sending.server, plain


def _deliver(server: MailServer, mails: int, relay: str) -> Run:
    """Seconds from the first submission until all mail is delivered."""
    log = server.home / "log"
    with log.open("rb") as lines:
        lines.seek(0, 2)
        began = time.perf_counter()
        clients = [_client(server, number, mails // _SENDERS) for number in range(_SENDERS)]
        sent, rest = 0, b""
        while sent < mails:
            if time.perf_counter() > began + _DEADLINE:
                raise FailedRunError(f"{sent} of {mails} mails are delivered")
            time.sleep(0.02)
            *whole, rest = (rest + lines.read()).split(b"\n")
            for line in whole:
                if b" status=" in line:
                    if b" status=sent" not in line or relay.encode() not in line:
                        raise FailedRunError(f"not delivered as it should be: {line.decode()}")
                    sent += 1
        took = time.perf_counter() - began
    if any(client.wait() for client in clients):
        raise FailedRunError("smtp-source failed")
    return Run(took, 0, 0, b"")


def _client(server: MailServer, number: int, mails: int) -> "Popen[bytes]":
    command = (
        *(str(program("smtp-source")), "-d", "-s", "2", "-m", str(mails), "-l", "4096"),
        *("-f", f"jane@tenant{number}.test", "-t", "b@rcpt.test"),
        f"inet:{server.address}:{SMTP_PORT}",
    )
    return Popen(command, env=server.environment)
