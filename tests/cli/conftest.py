"""The program as its users run it: in an empty working directory, with a clean environment."""

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
metadata: {name: default, annotations: {sendroute.dev/accept: not-enforced}}
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
    completed = subprocess.run(
        ["git", *identity, *arguments], cwd=directory, check=True, capture_output=True, text=True
    )
    return completed.stdout.strip()


def account(name: str, *, plan: str = "pro", more: str = "") -> str:
    return f"""\
apiVersion: sendroute.dev/v1alpha1
kind: MailAccount
metadata: {{name: {name}, namespace: {name}}}
spec: {{plan: {plan}{more}}}
"""


def profile(account: str, name: str, *, host: str = "smtp.provider.example") -> str:
    """A profile whose connection is not tested, because its host does not exist."""
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


class CommandResult(NamedTuple):
    status: int
    out: str
    err: str


Program = Callable[..., CommandResult]


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with secrets beside it; no other variable configures the
    program."""
    for name in list(os.environ):
        if name.startswith(("SENDROUTE_", "GIT_")) or name in (
            "NO_COLOR",
            "GITHUB_ACTOR",
            "GITLAB_USER_LOGIN",
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    for secret in ("sendroute-system/managed-relay", "acme/ses-smtp"):
        write_secret(tmp_path / "secrets" / secret)
    monkeypatch.setenv("SENDROUTE_SECRETS", str(tmp_path / "secrets"))
    directory = tmp_path / "work"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


def write_secret(directory: Path, value: str = "a-password") -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "username").write_text("a-user\n")
    (directory / "password").write_text(f"{value}\n")


@pytest.fixture
def sendroute(workdir: Path, capsys: pytest.CaptureFixture[str]) -> Program:
    """Runs the program in this process, which is fast, and returns its status and output."""

    assert Path.cwd() == workdir

    def run(*arguments: str) -> CommandResult:
        capsys.readouterr()
        status = main(list(arguments))
        out, err = capsys.readouterr()
        return CommandResult(status, out, err)

    return run


@pytest.fixture
def process(workdir: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Runs the program as a separate process, for behaviour that only a process has."""

    def run(
        *arguments: str, stdin: str = "", env: dict[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command(*arguments),
            cwd=workdir,
            input=stdin,
            env=environment(env),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "sendroute", *arguments]


def environment(more: dict[str, str] | None = None) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": SOURCE, **(more or {})}


@pytest.fixture
def manifests(workdir: Path) -> Path:
    """An account on a plan with managed sending, a profile, and a domain for each route."""
    write(workdir / "manifests/platform.yaml", PLATFORM)
    write(
        workdir / "manifests/acme.yaml",
        account("acme"),
        profile("acme", "ses"),
        domain("acme", "shop.example.com", "{profile: ses}"),
        domain("acme", "news.example.com"),
    )
    return workdir / "manifests"


@pytest.fixture
def store(sendroute: Program, manifests: Path) -> Path:
    """A store at the default path, to which the :func:`manifests` have been applied."""
    assert sendroute("init").status == 0
    applied = sendroute("apply", "manifests", "--auto-approve")
    assert applied.status == 0, applied
    return manifests.parent / "sendroute.db"
