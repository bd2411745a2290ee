"""Real mail through a real Postfix: what a connection test predicts is what delivery does.

Postfix runs in a process namespace of its own, which ends with the tests, and delivers to the same
servers. If it is missing, or namespaces are not allowed, these tests are skipped.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.postfix.programs import (
    NAMESPACE,
    PASSED_ON,
    client_cf,
    directories_cf,
    environment,
    mail_owner,
    program,
    real_mail,
    root,
)
from tests.private_server import free_port

from sendroute.model.credential import Credential

from .peers import CLIENT, Authority, Check, Hosts, Reply, Serve, Talk, hang_up

NAME = "localhost"
SERVICES = """\
pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
none unix - - n - - smtp
  -o smtp_tls_security_level=none
starttls unix - - n - - smtp
  -o smtp_tls_security_level=secure
tls unix - - n - - smtp
  -o smtp_tls_security_level=secure -o smtp_tls_wrappermode=yes
error unix - - n - - error
retry unix - - n - - error
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
"""


pytestmark = real_mail()


def domain(case: str, encryption: str) -> str:
    return f"{encryption}-{list(CASES).index(case)}.test"


def sender(credential: Credential | None) -> str:
    return f"{len(credential.password) if credential else 0}@x.test"


class Postfix:
    """``ports`` has the port of each case's server: after a failure Postfix does not try
    a destination again for minutes, so no two cases share one."""

    def __init__(self, home: Path, ca_file: str) -> None:
        self.home = home
        self.ports = {case: free_port() for case in DESTINATIONS}
        self.config = home / "etc"
        for name in ("etc", "spool", "data"):
            (home / name).mkdir()
        shutil.copy(ca_file, home / "ca.pem")
        settings = client_cf(CLIENT)
        (self.config / "main.cf").write_text(f"""\
{settings}
{directories_cf(home, root() / "etc/postfix")}
import_environment = {PASSED_ON}
inet_interfaces = loopback-only
mydestination =
smtp_host_lookup = native
smtp_sasl_auth_enable = yes
smtp_sender_dependent_authentication = yes
smtp_sasl_password_maps = texthash:{home}/etc/sasl
transport_maps = texthash:{home}/etc/transport
smtp_sasl_security_options = noanonymous
smtp_sasl_tls_security_options = noanonymous
smtp_tls_CAfile = {home}/ca.pem
default_transport = error:no such case
""")
        (self.config / "master.cf").write_text(SERVICES)
        (self.config / "transport").write_text(
            "".join(
                f"{domain(case, encryption)} {encryption}:[{NAME}]:{port}\n"
                for (case, encryption), port in self.ports.items()
            )
        )
        (self.config / "sasl").write_text(
            "".join(f"{sender(user)} {user.username}:{user.password}\n" for user in (USER, LONG))
        )
        shutil.chown(home / "data", mail_owner())
        self.environment = environment(self.config)
        self.process = subprocess.Popen(
            (*NAMESPACE, "sh", "-c", '"$0" start-fg & wait $!', str(program("postfix"))),
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def stop(self) -> None:
        """End the first process of the namespace, and with it all others."""
        number = self.process.pid
        children = Path(f"/proc/{number}/task/{number}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        self.process.wait(10)

    def deliver(self, case: str, encryption: str) -> str:
        """Send one message; its first status in the log: ``sent``, ``deferred`` or ``bounced``."""
        log, recipient = self.home / "log", f"b@{domain(case, encryption)}"
        status = re.compile(rf"to=<{re.escape(recipient)}>.* status=(\w+)")
        self._wait(log.exists)
        text = "Subject: a test\n\nhello\n"
        self._run("sendmail", "-f", sender(CASES[case][1]), recipient, text=text)
        self._wait(lambda: status.search(log.read_text()) is not None)
        match = status.search(log.read_text())
        assert match is not None
        return match[1]

    def _run(self, name: str, *arguments: str, text: str) -> None:
        command = (str(program(name)), *arguments)
        subprocess.run(
            command, env=self.environment, input=text, text=True, capture_output=True, check=True
        )

    def _wait(self, done: Callable[[], bool]) -> None:
        until = time.monotonic() + 60
        while not done():
            assert time.monotonic() < until, (self.home / "log").read_text()[-2000:]
            assert self.process.poll() is None
            time.sleep(0.05)


@pytest.fixture(scope="module")
def postfix(authority: Authority) -> Iterator[Postfix]:
    # Not below pytest's own directory, which no other user may enter.
    home = Path(tempfile.mkdtemp(prefix="postfix-"))
    home.chmod(0o755)
    running = Postfix(home, authority.file)
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(home, ignore_errors=True)


def take(talk: Talk) -> None:
    """Take a message, then end the session."""
    talk.send(b"354 go\r\n")
    while talk.line() not in (b".", None):
        pass
    talk.send(b"250 taken\r\n")
    talk.line()
    talk.send(b"221 bye\r\n")


def offer(mechanisms: str) -> bytes:
    return f"250-x\r\n250 AUTH {mechanisms}\r\n".encode()


def strict(talk: Talk) -> None:
    """Accept no command of more than 512 octets, and any password."""
    if len(talk.lines[-1]) + 2 > 512:
        talk.send(b"500 5.5.2 Line too long\r\n")
        return
    if talk.lines[-1] == b"AUTH PLAIN":
        talk.send(b"334 \r\n")
        talk.line()
    welcome(talk)


def welcome(talk: Talk) -> None:
    """Accept the sign-in, and a message."""
    talk.send(b"235 in\r\n")
    follow(talk)


def follow(talk: Talk) -> None:
    """Accept a message."""
    while (line := talk.line()) is not None:
        if line == b"DATA":
            take(talk)
            return
        talk.send(b"221 bye\r\n" if line == b"QUIT" else b"250 ok\r\n")


def no_plain(talk: Talk) -> None:
    """Support LOGIN only, although PLAIN is offered."""
    talk.send(b"504 5.5.4 unknown\r\n")
    if talk.line() == b"AUTH LOGIN":
        asking(b"334 VXNlcm5hbWU6", b"334 UGFzc3dvcmQ6")(talk)
    else:
        follow(talk)


def asking(*challenges: bytes) -> Callable[[Talk], None]:
    """Accept any answer to each of these challenges."""

    def ask(talk: Talk) -> None:
        for challenge in challenges:
            talk.send(challenge + b"\r\n")
            if talk.line() == b"QUIT":
                talk.send(b"221 bye\r\n")
                return
        welcome(talk)

    return ask


def ehlo(*lines: bytes) -> dict[str, Reply]:
    return {"EHLO": b"".join(line + b"\r\n" for line in lines)}


def login(*challenges: bytes) -> dict[str, Reply]:
    return {"EHLO": offer("LOGIN"), "AUTH": asking(*challenges)}


def plain(challenge: bytes) -> dict[str, Reply]:
    return {"EHLO": offer("PLAIN"), "AUTH": asking(challenge)}


USER, LONG = Credential("u", "p"), Credential("u", "k" * 700)
CASES: dict[str, tuple[dict[str, Reply], Credential | None]] = {
    "in order": ({}, None),
    "a sign-in": ({}, USER),
    "HELO only": ({"EHLO": b"502 what?\r\n"}, None),
    "HELO only, and a sign-in": ({"EHLO": b"502 what?\r\n"}, USER),
    "EHLO refused for now": ({"EHLO": b"450 later\r\n"}, None),
    "421 to EHLO": ({"EHLO": b"421 busy\r\n"}, None),
    "252 to EHLO": ({"EHLO": b"252-x\r\n252 AUTH PLAIN\r\n"}, USER),
    "354 to EHLO": ({"EHLO": b"354 x\r\n"}, None),
    "252 to HELO": ({"EHLO": b"502 what?\r\n", "HELO": b"252 x\r\n"}, None),
    "250 to AUTH": ({"AUTH": b"250 in\r\n"}, USER),
    "250 as greeting": ({"GREETING": b"250 hello\r\n"}, None),
    "421 as greeting": ({"GREETING": b"421 busy\r\n"}, None),
    "closed before the greeting": ({"GREETING": hang_up}, None),
    "CRAM-MD5 beside PLAIN": ({"EHLO": offer("CRAM-MD5 DIGEST-MD5 PLAIN")}, USER),
    "LOGIN before PLAIN": ({"EHLO": offer("LOGIN PLAIN")}, USER),
    "CRAM-MD5 only": ({"EHLO": offer("CRAM-MD5")}, USER),
    "no sign-in": ({"EHLO": b"250 x\r\n"}, USER),
    "a long password": ({"EHLO": offer("PLAIN"), "AUTH": strict}, LONG),
    "a rejected sign-in": ({"AUTH": b"535 5.7.8 no\r\n"}, USER),
    "a sign-in that fails for now": ({"AUTH": b"454 4.7.0 later\r\n"}, USER),
    "PLAIN offered, LOGIN supported": ({"AUTH": no_plain}, USER),
    "LOGIN asking in clear": (login(b"334 Username:", b"334 Password:"), USER),
    "a greeting without a text": ({"GREETING": b"220\r\n"}, USER),
    "a greeting of a space": ({"GREETING": b"220 \r\n"}, USER),
    "a greeting that a firewall hid": ({"GREETING": b"220 ****2**0*\r\n"}, USER),
    "no greeting's text, HELO only": ({"GREETING": b"220\r\n", "EHLO": b"502 what?\r\n"}, None),
    "AUTH as the first line": (ehlo(b"250 AUTH PLAIN"), USER),
    "AUTH after an empty line": (ehlo(b"250-", b"250-AUTH PLAIN", b"250"), USER),
    "AUTH, then a tab": (ehlo(b"250-x", b"250 AUTH\tPLAIN"), USER),
}
PROMPT = b"334 VXNlcm5hbWU6"
FILLED = (b"250-x", b"250-" + b"y" * 1000, b"250-" + b"z" * 1032)
"""As long as lines may be that Postfix reads another one after."""
READING: dict[str, tuple[dict[str, Reply], Credential | None]] = {
    "a name after an empty line": (ehlo(b"250-", b"250-x", b"250-AUTH PLAIN", b"250"), USER),
    "AUTH=": (ehlo(b"250-x", b"250 AUTH=PLAIN"), USER),
    "AUTH = ": (ehlo(b"250-x", b"250 AUTH = PLAIN"), USER),
    "AUTH==": (ehlo(b"250-x", b"250 AUTH==PLAIN"), USER),
    "=AUTH": (ehlo(b"250-x", b"250 =AUTH PLAIN"), USER),
    "-AUTH": (ehlo(b"250-x", b"250--AUTH PLAIN", b"250 HELP"), USER),
    "spaces before AUTH": (ehlo(b"250-x", b"250   AUTH PLAIN"), USER),
    "two lists": (ehlo(b"250-x", b"250-AUTH CRAM-MD5", b"250 AUTH PLAIN"), USER),
    "an empty list and another": (ehlo(b"250-x", b"250-AUTH", b"250 AUTH PLAIN"), USER),
    "lower case": (ehlo(b"250-x", b"250 auth plain"), USER),
    "a tab after PLAIN": (ehlo(b"250-x", b"250 AUTH PLAIN\t"), USER),
    "a tab between mechanisms": (ehlo(b"250-x", b"250 AUTH PLAIN\tLOGIN"), USER),
    "a hard space": (ehlo(b"250-x", "250 AUTH PLAIN\u00a0LOGIN".encode()), USER),
    "a null byte": (ehlo(b"250-x", b"250 AUTH PLAIN\0"), USER),
    "two carriage returns": (ehlo(b"250-x", b"250 AUTH PLAIN\r"), USER),
    "AUTH late in the reply": (ehlo(*FILLED, b"250 AUTH PLAIN"), USER),
    "AUTH too late in the reply": (ehlo(b"250-xx", *FILLED[1:], b"250 AUTH PLAIN"), USER),
    "two codes": (ehlo(b"220-x", b"250 AUTH PLAIN"), USER),
    "two codes, refused": (ehlo(b"250-x", b"550 no"), USER),
    "a line before the greeting": ({"GREETING": b"hello there\r\n220 x\r\n"}, None),
    "LOGIN asking for nothing": (login(b"334", b"334 "), USER),
    "LOGIN, the password in clear": (login(PROMPT, b"334 Password:"), USER),
    "LOGIN, a word of four letters": (login(PROMPT, b"334 User"), USER),
    "LOGIN, codes of its own": (login(b"350 YQ==", b"300 YWE="), USER),
    "LOGIN, unused bits": (login(b"334 YR==", PROMPT), USER),
    "LOGIN, a space before": (login(b"334  VXNlcm5hbWU6", PROMPT), USER),
    "LOGIN, a space after": (login(PROMPT + b" ", PROMPT), USER),
    "LOGIN, a null byte after": (login(PROMPT + b"\0x", PROMPT), USER),
    "LOGIN, no padding": (login(PROMPT + b"YQ", PROMPT), USER),
    "LOGIN, padding inside": (login(b"334 YQ==YQ==", PROMPT), USER),
    "LOGIN, two lines": (login(b"334-VXNlcm5hbWU6\r\n334 VXNlcm5hbWU6", PROMPT), USER),
    "PLAIN asking without a space": (plain(b"334"), LONG),
    "PLAIN asking with a text": (plain(b"334 go ahead"), LONG),
    "PLAIN asking in base64": (plain(b"334 YQ=="), LONG),
    "PLAIN asking with two spaces": (plain(b"334  "), LONG),
}
"""How replies are read, which encryption does not change."""
CASES |= READING
WITHOUT_SIGNING_IN = (
    "HELO only, and a sign-in",
    "no sign-in",
    "AUTH as the first line",
    "AUTH after an empty line",
    "AUTH, then a tab",
    "-AUTH",
    "AUTH too late in the reply",
    "two codes, refused",
)
"""Postfix hands the mail over without a sign-in, and a test does not let it come to that."""
STRICTER = ("a line before the greeting",)
"""Postfix waits for something better, and a test does not."""
DESTINATIONS = [
    (case, encryption)
    for case in CASES
    for encryption in ("none", "starttls", "tls")
    if encryption == "none" or case not in READING
]
SERVER: dict[str, Reply] = {
    "HELO": b"250 ok\r\n",
    "MAIL": b"250 ok\r\n",
    "RCPT": b"250 ok\r\n",
    "DATA": take,
}


@pytest.mark.parametrize(("case", "encryption"), DESTINATIONS)
def test_a_profile_passes_exactly_if_its_mail_is_delivered(
    check: Check,
    serve: Serve,
    hosts: Hosts,
    authority: Authority,
    postfix: Postfix,
    case: str,
    encryption: str,
) -> None:
    answers, credential = CASES[case]
    if encryption == "starttls" and "EHLO" in answers:
        answers = answers | {"TLS-EHLO": answers["EHLO"], "EHLO": b"250-x\r\n250 STARTTLS\r\n"}
    context = authority.context(NAME) if encryption != "none" else None
    server = serve(
        answers=SERVER | answers,
        context=context,
        implicit=encryption == "tls",
        port=postfix.ports[case, encryption],
    )
    resolver = hosts(f"127.0.0.1 {NAME}")
    result = check(server.port, encryption, host=NAME, credential=credential, resolver=resolver)
    tested = [line for line in server.lines if line.startswith(b"AUTH")]
    delivered = postfix.deliver(case, encryption) == "sent"
    if case in (*WITHOUT_SIGNING_IN, *STRICTER):
        assert (result.outcome == "ok", delivered) == (False, True), result.detail
    else:
        assert (result.outcome == "ok") is delivered, result.detail
    signed_in = [line for line in server.lines if line.startswith(b"AUTH")]
    assert signed_in == tested * 2, "both send the same"
