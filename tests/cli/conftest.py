"""The program as its users run it: in a folder of its own, with an environment of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from sendroute.cli.main import main

SOURCE = str(Path(__file__).parents[2] / "operator")

PLATFORM = """\
apiVersion: sendroute.dev/v1alpha1
kind: MailPlatform
metadata: {name: default}
spec:
  managed:
    host: smtp.trekmail.example
    ports: [{port: 587, encryption: starttls}]
    relay:
      host: relay.internal.example
      port: 587
      encryption: starttls
      credentials: {secretRef: {name: managed-relay}}
  plans:
  - {name: nano, managed: false}
  - {name: pro, managed: true, limits: {accountPerDay: 20000}}
"""


def git(directory: Path, *arguments: str) -> str:
    """Run git with an identity, and return what it prints."""
    identity = ["-c", "user.name=T", "-c", "user.email=t@t.example", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=directory, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def account(name: str, *, plan: str = "pro", more: str = "") -> str:
    return f"""\
apiVersion: sendroute.dev/v1alpha1
kind: MailAccount
metadata: {{name: {name}, namespace: {name}}}
spec: {{plan: {plan}{more}}}
"""


def profile(account: str, name: str, *, host: str = "smtp.provider.example") -> str:
    """Not tested: there is no such host."""
    return f"""\
apiVersion: sendroute.dev/v1alpha1
kind: SMTPProfile
metadata: {{name: {name}, namespace: {account}}}
spec:
  account: {account}
  host: {host}
  port: 587
  encryption: starttls
  credentials: {{secretRef: {{name: {name}-smtp}}}}
  connectionTest: skip
"""


def domain(account: str, name: str, route: str | None = None) -> str:
    line = f"\n  route: {route}" if route else ""
    return f"""\
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {{name: {name.replace(".", "-")}, namespace: {account}}}
spec:
  account: {account}
  domain: {name}{line}
"""


def write(path: Path, *documents: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("---\n".join(documents))
    return path


class Ran(NamedTuple):
    status: int
    out: str
    err: str


Program = Callable[..., Ran]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, secrets beside it, and no other variable that would say anything
    to the program."""
    for name in list(os.environ):
        if name.startswith(("SENDROUTE_", "GIT_")) or name in (
            "NO_COLOR",
            "GITHUB_ACTOR",
            "GITLAB_USER_LOGIN",
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    for secret in ("default/managed-relay", "acme/ses-smtp"):
        lay_secret(tmp_path / "secrets" / secret)
    monkeypatch.setenv("SENDROUTE_SECRETS", str(tmp_path / "secrets"))
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def lay_secret(folder: Path, word: str = "a-password") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "username").write_text("a-user\n")
    (folder / "password").write_text(f"{word}\n")


@pytest.fixture
def sendroute(place: Path, capsys: pytest.CaptureFixture[str]) -> Program:
    """The program in this process: quick, with what it printed."""

    assert Path.cwd() == place

    def run(*words: str) -> Ran:
        capsys.readouterr()
        status = main(list(words))
        out, err = capsys.readouterr()
        return Ran(status, out, err)

    return run


@pytest.fixture
def process(place: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """The program as a process of its own, for what only a process shows."""

    def run(
        *words: str, stdin: str = "", env: dict[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command(*words),
            cwd=place,
            input=stdin,
            env=environment(env),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "sendroute", *words]


def environment(more: dict[str, str] | None = None) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": SOURCE, **(more or {})}


@pytest.fixture
def manifests(place: Path) -> Path:
    """One account on a plan with managed sending, a profile, and a domain of each kind."""
    write(place / "manifests/platform.yaml", PLATFORM)
    write(
        place / "manifests/acme.yaml",
        account("acme"),
        profile("acme", "ses"),
        domain("acme", "shop.example.com", "{profile: ses}"),
        domain("acme", "news.example.com"),
    )
    return place / "manifests"


@pytest.fixture
def store(sendroute: Program, manifests: Path) -> Path:
    """A store in the usual place that holds what :func:`manifests` say."""
    assert sendroute("init").status == 0
    applied = sendroute("apply", "manifests", "--auto-approve")
    assert applied.status == 0, applied
    return manifests.parent / "sendroute.db"
