"""A stand-in for a provider: SMTP on localhost:10587 with STARTTLS, sign-in and its own authority.

``provider.py start`` writes provider/ca.pem and runs in the background, for at most ten minutes;
``provider.py stop`` ends it. It reads provider/users at each sign-in, one USER:PASSWORD per line.
Needs aiosmtpd and trustme.
"""

import os
import signal
import ssl
import sys
import threading
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

DIRECTORY = Path("provider")
LONGEST = 600.0


def accepts(*asked: Any) -> AuthResult:
    user, word = asked[-1].login.decode(), asked[-1].password.decode()
    good = f"{user}:{word}" in (DIRECTORY / "users").read_text().splitlines()
    return AuthResult(success=good, handled=good)


def start() -> None:
    DIRECTORY.mkdir(exist_ok=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(DIRECTORY / "ca.pem"))
    ready, say_ready = os.pipe()
    if os.fork():
        os.close(say_ready)
        sys.exit(0 if os.read(ready, 1) else "The provider did not start.")
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server = Controller(
        object(),
        hostname="localhost",
        port=10587,
        tls_context=context,
        require_starttls=True,
        authenticator=accepts,
    )
    server.start()
    (DIRECTORY / "pid").write_text(str(os.getpid()))
    os.write(say_ready, b"1")
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ended.wait(LONGEST)
    server.stop()


def stop() -> None:
    pid = DIRECTORY / "pid"
    os.kill(int(pid.read_text()), signal.SIGTERM)
    pid.unlink()


if __name__ == "__main__":
    {"start": start, "stop": stop}[sys.argv[1]]()
