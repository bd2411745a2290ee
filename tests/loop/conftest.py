"""The loop as a process of its own, over a folder of manifests and a SQLite store."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import pytest

SOURCE = str(Path(__file__).parents[2] / "operator")
DEADLINE = 20.0
T = TypeVar("T")

PLATFORM = """\
apiVersion: sendroute.dev/v1alpha1
kind: MailPlatform
metadata: {name: default}
spec:
  connectionTest: {allowNetworks: [127.0.0.0/8, "::1/128"]}
  managed:
    host: smtp.trekmail.example
    ports: [{port: 587, encryption: starttls}]
    relay: {host: relay.internal.example, port: 587, encryption: starttls}
  plans:
  - {name: nano, managed: false}
  - {name: pro, managed: true}
"""


def account(name: str, *domains: str, plan: str = "pro", route: str = "{managed: {}}") -> str:
    """A file of one account with its domains."""
    documents = [
        f"""\
apiVersion: sendroute.dev/v1alpha1
kind: MailAccount
metadata: {{name: {name}, namespace: {name}}}
spec: {{plan: {plan}}}
"""
    ]
    documents += [
        f"""\
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {{name: {domain.replace(".", "-")}, namespace: {name}}}
spec:
  account: {name}
  domain: {domain}
  route: {route}
"""
        for domain in domains
    ]
    return "---\n".join(documents)


def profile(account: str, name: str, port: int) -> str:
    """One on this machine, in clear and without a sign-in."""
    return f"""\
---
apiVersion: sendroute.dev/v1alpha1
kind: SMTPProfile
metadata: {{name: {name}, namespace: {account}}}
spec: {{account: {account}, host: 127.0.0.1, port: {port}, encryption: none}}
"""


def replace(path: Path, content: str) -> None:
    """As every good writer does: whole, or not at all."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(content)
    beside.rename(path)


def until(get: Callable[[], T | None], what: str = "it") -> T:
    """What ``get`` gives once it is neither None nor false."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if value := get():
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come")


class Running:
    """A loop; ``lines`` are what it has logged so far."""

    def __init__(self, folder: Path, *words: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sendroute", "run", *words, "--log-format", "json"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": SOURCE},
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.lines: list[dict[str, Any]] = []
        self._other: list[str] = []
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            try:
                self.lines.append(json.loads(line))
            except ValueError:
                self._other.append(line)

    def said(self, *parts: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if all(part in line["message"] for part in parts)]

    def says(self, *parts: str, times: int = 1) -> dict[str, Any]:
        """The line that holds all these parts, the last of so many."""

        def found() -> dict[str, Any] | None:
            assert self._process.poll() is None or len(self.said(*parts)) >= times, self.all()
            lines = self.said(*parts)
            return lines[times - 1] if len(lines) >= times else None

        try:
            return until(found, repr(parts))
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.all()}") from None

    def all(self) -> str:
        return "\n".join([*(line["message"] for line in self.lines), *self._other])

    def signal(self, number: int = signal.SIGTERM) -> None:
        self._process.send_signal(number)

    def ended(self) -> int:
        """The exit status, once it has ended."""
        try:
            status = self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end: {self.all()}") from None
        self._reader.join(DEADLINE)
        assert not self._other, self.all()
        return status

    def stop(self) -> int:
        self.signal()
        return self.ended()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()


class Place:
    """A folder with a store, its key and manifests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifests = folder / "manifests"
        self.manifests.mkdir()
        self._running: list[Running] = []
        replace(self.manifests / "platform.yaml", PLATFORM)
        assert self.sendroute("init").returncode == 0

    def lay(self, name: str, content: str) -> None:
        replace(self.manifests / f"{name}.yaml", content)

    def sendroute(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "sendroute", *words],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": SOURCE},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def start(self, *words: str) -> Running:
        given = words if words and not words[0].startswith("-") else ("manifests", *words)
        usual = [] if "--poll" in given else ["--poll", "100ms"]
        usual += [] if "--listen" in given else ["--listen", ""]
        running = Running(self.folder, *given, *usual)
        self._running.append(running)
        return running

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.folder / "sendroute.db", timeout=30)) as own:
            rows = own.execute(statement, values).fetchall()
            own.commit()
        return rows

    def domains(self) -> dict[str, str]:
        """Each domain's route, as the store has it."""
        return dict(self.sql("select name, coalesce(profile, kind) from domain"))

    def status(self) -> dict[str, Any]:
        ran = self.sendroute("status", "-o", "json")
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)  # type: ignore[no-any-return]

    def unsettled(self) -> dict[str, dict[str, Any]]:
        return {one["account"]: one for one in self.status()["unsettled"]}

    def close(self) -> None:
        for running in self._running:
            print(running.all())  # for a test that failed
            running.kill()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    for name in list(os.environ):
        if name.startswith(("SENDROUTE_", "GIT_")) or name in ("GITHUB_ACTOR", "GITLAB_USER_LOGIN"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "work"
    folder.mkdir()
    one = Place(folder)
    yield one
    one.close()
