"""The operator as a separate process, on a real control plane and a SQLite store."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from tests.control_plane.control_plane import Document, PrivateControlPlane

ROOT = Path(__file__).parents[2]
SOURCE = str(ROOT / "operator")
SYSTEM = "sendroute-system"
PLATFORM: Document = {
    "apiVersion": "sendroute.dev/v1alpha1",
    "kind": "MailPlatform",
    "metadata": {"name": "default"},
    "spec": {
        "managed": {
            "host": "smtp.trekmail.example",
            "ports": [{"port": 587, "encryption": "starttls"}],
            "relay": {"host": "relay.internal.example", "port": 587, "encryption": "starttls"},
        },
        "plans": [{"name": "nano", "managed": False}, {"name": "pro", "managed": True}],
    },
}


def account(name: str = "acme", namespace: str = "acme", **spec: Any) -> Document:
    return {
        "apiVersion": "sendroute.dev/v1alpha1",
        "kind": "MailAccount",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"plan": "pro"} | spec,
    }


def domain(name: str, namespace: str = "acme", account: str = "acme", **spec: Any) -> Document:
    return {
        "apiVersion": "sendroute.dev/v1alpha1",
        "kind": "SendingDomain",
        "metadata": {"name": name.replace(".", "-"), "namespace": namespace},
        "spec": {"account": account, "domain": name} | spec,
    }


def sendroute(*words: str | Path, store: Path, status: int | None = 0) -> str:
    """Run a command on a store, and return what it writes."""
    done = subprocess.run(
        [sys.executable, "-m", "sendroute", *map(str, words), "--store", f"sqlite:///{store}"],
        env=os.environ | {"PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert status in (done.returncode, None), done.stdout + done.stderr
    return done.stdout


def rows(store: Path, statement: str) -> list[tuple[Any, ...]]:
    """What a statement reads from a store."""
    with closing(sqlite3.connect(store, timeout=30)) as connection:
        return connection.execute(statement).fetchall()


def routes(store: Path) -> dict[str, str]:
    """The route of each domain in a store."""
    return {
        name: f"{kind} {profile or ''}".strip()
        for name, kind, profile in rows(store, "SELECT name, kind, profile FROM domain")
    }


class OperatorProcess:
    """A running operator, and the lines of its log. ``store`` is a file, or a URL."""

    def __init__(self, kubeconfig: Path, store: Path | str, *options: str) -> None:
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            [
                sys.executable,
                *("-m", "sendroute", "operator", "--kubeconfig", str(kubeconfig)),
                *("--store", f"sqlite:///{store}" if isinstance(store, Path) else store),
                *("--settle", "200ms"),
                *("--settle-destructive", "1s", "--listen", "", "--log-format", "json"),
                *("--namespace", SYSTEM, *options),
            ],
            env=os.environ | {"PYTHONPATH": SOURCE},
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        self.lines += self._process.stderr

    @property
    def log(self) -> str:
        return "".join(self.lines)

    @property
    def status(self) -> int | None:
        return self._process.poll()

    def send(self, number: int) -> None:
        self._process.send_signal(number)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it, and return its exit status."""
        if self._process.poll() is None:
            self._process.send_signal(number)
        status = self._process.wait(60)
        self._reader.join(5)
        if self._process.stderr is not None:
            self._process.stderr.close()
        return status


@contextmanager
def running(kubeconfig: Path, store: Path | str, *options: str) -> Iterator[OperatorProcess]:
    operator = OperatorProcess(kubeconfig, store, *options)
    try:
        yield operator
    finally:
        operator.stop(signal.SIGKILL)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "sendroute.db"
    sendroute("init", store=path)
    return path


@pytest.fixture(scope="module")
def cluster(private_control_plane: PrivateControlPlane) -> PrivateControlPlane:
    """A control plane of the module's own, with the kinds."""
    private_control_plane.install_crds()
    private_control_plane.kubectl("create", "namespace", SYSTEM)
    return private_control_plane
