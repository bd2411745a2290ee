"""The loop as a separate process, on a directory of manifests and a SQLite store."""

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

OTHER_LOCK = """\
{"format_version": "1.4", "lineage": "11111111-1111-1111-1111-111111111111", "revision": 1}
"""
"""The head of a lock file of another store."""


def account(name: str, *domains: str, plan: str = "pro", route: str = "{managed: {}}") -> str:
    """A file with one account and its domains."""
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
    """A profile on this machine, without encryption and authentication."""
    return f"""\
---
apiVersion: sendroute.dev/v1alpha1
kind: SMTPProfile
metadata: {{name: {name}, namespace: {account}}}
spec: {{account: {account}, host: 127.0.0.1, port: {port}, encryption: none}}
"""


def replace(path: Path, content: str) -> None:
    """Write the file atomically, as editors and git do."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(content)
    temporary.rename(path)


def wait_until(read: Callable[[], T | None], description: str = "the condition") -> T:
    """Poll ``read`` until its value is true, and return that value."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if value := read():
            return value
        time.sleep(0.02)
    raise AssertionError(f"timeout: {description}")


class LoopProcess:
    """A running loop, or another command that runs until it is stopped; ``lines`` are the log lines
    so far."""

    def __init__(
        self, directory: Path, *arguments: str, command: str = "run", **variables: str
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sendroute", command, *arguments, "--log-format", "json"],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": SOURCE, **variables},
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

    def logged(self, *parts: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if all(part in line["message"] for part in parts)]

    def wait_for_log(self, *parts: str, times: int = 1) -> dict[str, Any]:
        """Wait for ``times`` log lines that contain all ``parts``; return the last of them."""

        def matching() -> dict[str, Any] | None:
            assert self._process.poll() is None or len(self.logged(*parts)) >= times, self.all()
            lines = self.logged(*parts)
            return lines[times - 1] if len(lines) >= times else None

        try:
            return wait_until(matching, repr(parts))
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.all()}") from None

    def all(self) -> str:
        return "\n".join([*(line["message"] for line in self.lines), *self._other])

    def signal(self, number: int = signal.SIGTERM) -> None:
        self._process.send_signal(number)

    def wait_for_exit(self) -> int:
        """Wait until the process ends, and return its exit status."""
        try:
            status = self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end: {self.all()}") from None
        self._reader.join(DEADLINE)
        assert not self._other, self.all()
        return status

    def stop(self) -> int:
        self.signal()
        return self.wait_for_exit()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()


class Workspace:
    """A directory with a store, its key and manifests."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.manifests = directory / "manifests"
        self.manifests.mkdir()
        self._loops: list[LoopProcess] = []
        replace(self.manifests / "platform.yaml", PLATFORM)
        assert self.sendroute("init").returncode == 0

    def write_manifest(self, name: str, content: str) -> None:
        replace(self.manifests / f"{name}.yaml", content)

    def sendroute(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "sendroute", *arguments],
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": SOURCE},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def start(self, *arguments: str) -> LoopProcess:
        if not arguments or arguments[0].startswith("-"):
            arguments = ("manifests", *arguments)
        defaults = [] if "--poll" in arguments else ["--poll", "100ms"]
        defaults += [] if "--listen" in arguments else ["--listen", ""]
        if "--settle-destructive" not in arguments:
            defaults += ["--settle-destructive", "0s"]
        loop = LoopProcess(self.directory, *arguments, *defaults)
        self._loops.append(loop)
        return loop

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.directory / "sendroute.db", timeout=30)) as connection:
            rows = connection.execute(statement, values).fetchall()
            connection.commit()
        return rows

    def domains(self) -> dict[str, str]:
        """The route of each domain in the store."""
        return dict(self.sql("select name, coalesce(profile, kind) from domain"))

    def status(self) -> dict[str, Any]:
        completed = self.sendroute("status", "-o", "json")
        assert completed.returncode == 0, completed.stderr
        return json.loads(completed.stdout)  # type: ignore[no-any-return]

    def unapplied(self) -> dict[str, dict[str, Any]]:
        return {entry["account"]: entry for entry in self.status()["unapplied"]}

    def close(self) -> None:
        for loop in self._loops:
            print(loop.all())  # shown if the test failed
            loop.kill()


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    for name in list(os.environ):
        if name.startswith(("SENDROUTE_", "GIT_")) or name in ("GITHUB_ACTOR", "GITLAB_USER_LOGIN"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    directory = tmp_path / "work"
    directory.mkdir()
    workspace = Workspace(directory)
    yield workspace
    workspace.close()
