"""A private Postfix with a name server of its own, in namespaces that end with the tests."""

import grp
import json
import os
import pwd
import random
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from sendroute.postfix.tables import DATABASE

from .programs import (
    NAMESPACE,
    PASSED_ON,
    directories_cf,
    environment,
    mail_owner,
    owners_cf,
    program,
    root,
    settle,
)

SENDROUTE = (sys.executable, "-m", "sendroute")
NAME = "relay.example.test"
SMTP_PORT = 2525
USUAL_SERVICES = """\
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
# The shell stays the first process: master(8) changes its user, which ends the death signal.
_START = """\
mount --bind "$1" /etc/resolv.conf
"$2" --conf-file=/dev/null --pid-file= --user=root --no-resolv --no-hosts --addn-hosts="$3" \\
  --local=/#/ --bind-interfaces --listen-address="$4" --port=53 --keep-in-foreground &
until [ -e "$6" ]; do sleep 0.02; done
"$5" start-fg &
wait $!
"""


class Addresses:
    """Addresses of loopback that this run has for itself, so that tests side by side do not meet
    and providers have the ports that real ones have."""

    def __init__(self) -> None:
        self._net = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}"
        self._given = 0

    def next(self) -> str:
        self._given += 1
        return f"{self._net}.{self._given}"


class MailServer:
    """A Postfix with its own configuration, queue and data below ``home``.

    Args:
        home: an empty directory that any user may enter.
        addresses: gives the addresses of smtpd and of the name server.
        smtpd: options of the smtpd service.
    """

    def __init__(self, home: Path, addresses: Addresses, smtpd: str = "") -> None:
        self.home, self.address, self._names = home, addresses.next(), addresses.next()
        self.tables = home / "tables"
        self.config = home / "etc"
        self.environment = environment(self.config)
        self._process: subprocess.Popen[bytes] | None = None
        self._agent: subprocess.Popen[bytes] | None = None
        for name in ("etc", "spool", "data"):
            (home / name).mkdir()
        self.tables.mkdir(exist_ok=True)
        shutil.chown(home / "data", mail_owner())
        shutil.copy(root() / "etc/postfix/postfix-files", self.config)
        (self.config / "dynamicmaps.cf").write_text("sqlite postfix-sqlite.so dict_sqlite_open\n")
        (self.config / "master.cf").write_text(
            f"{self.address}:{SMTP_PORT} inet n - n - - smtpd {smtpd}\n{USUAL_SERVICES}"
        )
        (self.config / "main.cf").write_text(
            f"compatibility_level = 3.6\nmyhostname = {NAME}\nmynetworks = 127.0.0.0/8\n"
            f"import_environment = {PASSED_ON}\ninet_interfaces = loopback-only\n"
            # A relayhost has no effect on mail with a route.
            "relayhost = [relayhost.test]\nalias_maps =\nalias_database =\n"
            # A short queue id is an inode and a microsecond, which both come again within
            # thousands of messages; a test then takes one message's relay for another's.
            "enable_long_queue_ids = yes\n"
            # Deferred mail is tried again after a second, and not after minutes.
            "queue_run_delay = 1s\nminimal_backoff_time = 1s\nmaximal_backoff_time = 2s\n"
            "transport_retry_time = 1s\nbounce_queue_lifetime = 1d\n"
            f"{owners_cf()}{directories_cf(home, self.config)}"
        )
        settle(self.config)
        (home / "hosts").write_text("")
        (home / "resolv.conf").write_text(f"nameserver {self._names}\noptions timeout:1\n")

    def configure(self, store: str) -> None:
        """Add the Postfix side of the routes, as a person does."""
        config = ("--postfix-config-dir", str(self.config), "--dir", str(self.tables))
        self.sendroute("postfix", "config", "--install", *config, "--store", store)
        settle(self.config)

    def sendroute(self, *arguments: str) -> str:
        """Run the program with Postfix's programs in reach; its output."""
        return self._run((*SENDROUTE, *arguments))

    def knows(self, hosts: Mapping[str, str]) -> None:
        """Have the name server answer for these hosts; before the start."""
        lines = [f"{address} {host}\n" for host, address in hosts.items()]
        (self.home / "hosts").write_text("".join(lines))

    def start(self) -> None:
        """Start the name server. Postfix follows when the agent's tables are there, as the agent
        starts first on every machine."""
        command = (
            *("sh", "-ec", _START, "start", str(self.home / "resolv.conf")),
            *(str(program("dnsmasq")), str(self.home / "hosts"), self._names),
            *(str(program("postfix")), str(self.tables / DATABASE)),
        )
        with (self.home / "output").open("w") as output:
            self._process = subprocess.Popen(
                (*NAMESPACE, *command), env=self.environment, stdout=output, stderr=output
            )
        self.wait(lambda: self._first() is not None, "no namespace")

    def start_agent(self, store: str, *options: str) -> None:
        """Start the relay's agent beside Postfix, in its namespaces."""
        directories = ("--dir", str(self.tables), "--postfix-config-dir", str(self.config))
        group = grp.getgrgid(pwd.getpwnam(mail_owner()).pw_gid).gr_name
        command = (*SENDROUTE, "relay", *directories, "--group", group, "--listen", "")
        with (self.home / "agent.log").open("a") as log:
            self._agent = subprocess.Popen(
                self.inside(*command, "--name", "test", "--store", store, *options),
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    def stop_agent(self) -> None:
        """SIGTERM, as a service manager sends it."""
        assert self._agent is not None
        for child in _children(self._agent.pid):
            os.kill(child, signal.SIGTERM)
        self._agent.wait(20)
        self._agent = None

    def wait_until_it_accepts(self) -> None:
        self.wait(self._accepts, "Postfix accepts no connection")

    def stop(self) -> None:
        """End the first process of the namespace, and with it all others."""
        if self._process is None:
            return
        first = self._first()
        if first is not None:
            os.kill(first, signal.SIGKILL)
        self._process.wait(10)
        self._process = None
        if self._agent is not None:
            self._agent.wait(10)

    def _first(self) -> int | None:
        """The number of the namespace's first process, as it is outside; None if it ended."""
        if self._process is None or self._process.poll() is not None:
            return None
        return next(iter(_children(self._process.pid)), None)

    def inside(self, *command: str) -> tuple[str, ...]:
        """A command in the namespaces of the running Postfix: what it signals is there."""
        return ("nsenter", "--target", str(self._first()), "--mount", "--pid", *command)

    def program(self, name: str, *arguments: str) -> str:
        """Run one of Postfix's programs; its output."""
        return self._run(self.inside(str(program(name)), *arguments))

    def _run(self, command: tuple[str, ...]) -> str:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def reload(self) -> None:
        """``postfix reload``: the master and its queue manager read everything again."""
        self.program("postfix", "reload")

    def flush(self) -> None:
        """Try all deferred mail now."""
        self.program("postqueue", "-f")

    @property
    def log(self) -> str:
        path = self.home / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def queued(self) -> int:
        """How many messages are in a queue."""
        return sum(
            1
            for queue in ("incoming", "active", "deferred")
            for path in (self.home / "spool" / queue).rglob("*")
            if path.is_file()
        )

    def wait_until_empty(self, seconds: float = 120) -> None:
        """Wait until the queue is empty."""
        self.wait_flushing(lambda: self.queued() == 0, "mail stays in the queue", seconds)

    def wait_flushing(self, done: Callable[[], bool], otherwise: str, seconds: float = 60) -> None:
        """Wait for deliveries. A reload may leave a message that nobody looks at for a minute, so
        deferred mail is tried at once."""
        tried = 0.0

        def is_done() -> bool:
            nonlocal tried
            if time.monotonic() > tried + 1:
                self.flush()
                tried = time.monotonic()
            return done()

        self.wait(is_done, otherwise, seconds)

    def session(self) -> smtplib.SMTP:
        return smtplib.SMTP(self.address, SMTP_PORT, "client.example.test", timeout=60)

    def send(self, sender: str, subject: str, recipient: str = "b@rcpt.test") -> None:
        """Submit one message.

        Raises:
            smtplib.SMTPResponseException: it was refused.
        """
        with self.session() as session:
            send(session, sender, subject, recipient)

    def wait(self, done: Callable[[], bool], otherwise: str, seconds: float = 60) -> None:
        """Wait until something has happened; fails with the log's end."""
        until = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < until, f"{otherwise}\n{self.log[-4000:]}"
            if self._process is not None:
                ended = self._process.poll() is not None
                assert not ended, (self.home / "output").read_text() + self.log[-4000:]
            if self._agent is not None:
                ended = self._agent.poll() is not None
                assert not ended, (self.home / "agent.log").read_text()
            time.sleep(0.02)

    def attempts(self, sender: str) -> list[str]:
        """The log's lines about the deliveries of this sender's mail."""
        text = self.log
        ids = set(re.findall(rf"qmgr\[\d+\]: (\w+): from=<{re.escape(sender)}>, size", text))
        return [
            match[0] for match in re.finditer(r"(\w+): to=<.*status=.*", text) if match[1] in ids
        ]

    def statuses(self, sender: str) -> list[str]:
        """The statuses of the deliveries of this sender's mail so far, as they were logged."""
        lines = self.attempts(sender)
        return [match[1] for line in lines if (match := re.search(r"status=(\w+)", line))]

    def last_attempt(self, sender: str) -> str:
        """The log's last line about a delivery of this sender's mail."""
        return next(reversed(self.attempts(sender)), "")

    def discard(self, sender: str) -> None:
        """Delete this sender's queued mail."""
        queue = map(json.loads, self.program("postqueue", "-j").splitlines())
        ids = [message["queue_id"] for message in queue if message["sender"] == sender]
        for number in ids:
            self.program("postsuper", "-d", number)

    def _accepts(self) -> bool:
        try:
            with socket.create_connection((self.address, SMTP_PORT), 1) as connected:
                return connected.recv(3) == b"220"
        except OSError:
            return False


def _children(number: int) -> list[int]:
    try:
        text = Path(f"/proc/{number}/task/{number}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in text.split()]


def send(session: smtplib.SMTP, sender: str, subject: str, recipient: str = "b@rcpt.test") -> None:
    """Submit one message in an open session."""
    text = f"Subject: {subject}\r\n\r\nhello\r\n".encode()
    code, reply = session.mail(sender)
    if code == 250:
        code, reply = session.rcpt(recipient)
    if code != 250:
        session.rset()
        raise smtplib.SMTPResponseException(code, reply)
    code, reply = session.data(text)
    if code != 250:
        raise smtplib.SMTPResponseException(code, reply)
