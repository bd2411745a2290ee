"""Runs the program as users do, in a separate directory."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from sendroute.cli.main import main

PLATFORM = """\
apiVersion: sendroute.dev/v1alpha1
kind: MailPlatform
metadata: {name: default}
spec:
  managed:
    host: smtp.trekmail.example
    ports: [{port: 587, encryption: starttls}]
    relay: {host: relay.internal.example, port: 587, encryption: starttls}
  plans:
  - {name: nano, managed: false}
  - {name: pro, managed: true}
"""


class Ran(NamedTuple):
    status: int
    out: str
    err: str


Program = Callable[..., Ran]


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and no variable that configures the program."""
    for name in list(os.environ):
        if name.startswith("SENDROUTE_") or name == "NO_COLOR":
            monkeypatch.delenv(name)
    directory = tmp_path / "work"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


@pytest.fixture
def sendroute(workdir: Path, capsys: pytest.CaptureFixture[str]) -> Program:
    assert Path.cwd() == workdir

    def run(*words: str) -> Ran:
        capsys.readouterr()
        status = main(list(words))
        out, err = capsys.readouterr()
        return Ran(status, out, err)

    return run


def files_of(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }
