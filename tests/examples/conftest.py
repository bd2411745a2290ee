"""Pages that run: the shell blocks of a Markdown page are its steps, what they must print is beside
them.

A step is a fenced block of language ``sh``. What it prints, standard error included, and how it
ends stand in the ``text`` block that comes next on the page, or else in the first file of
``expected/`` that the page links to before its next step. A step with neither must print nothing.
A ``console`` block is for reading only.
"""

import difflib
import os
import random
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]

_BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
# What a person's terminal keeps from one block of a page to the next.
_EXPORT = re.compile(r"^export (?P<name>\w+)=(?P<value>\S+)$", re.MULTILINE)
_EXPECTED = re.compile(r"\]\((?P<path>expected/[^)]+)\)")

# What no two runs have in common, and what stands for it: of the same length, for tables.
_VARYING = (
    (re.compile(r"\b\d\.\d s\b"), "0.1 s"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "2026-11-01T12:00:00Z"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\dZ"), "2026-11-01 12:00Z"),
    (
        re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"),
        "5e4d0c7a-1f2b-4c3d-8e9f-0a1b2c3d4e5f",
    ),
)


def _called(name: str) -> str:
    """A temporary folder as the pages call it; nothing is there."""
    return f"/tmp/{name}"  # noqa: S108


# Stands in for sops, which needs a key of somebody's: the last word is the file, whose data are
# encoded where the real one would have encrypted them.
SOPS = """for file; do :; done
sed -n 's/.*data:\\([^,]*\\),.*/\\1/p' "$file" | base64 -d"""


@dataclass(frozen=True)
class Step:
    """``text`` is where in the page the expected output stands, ``file`` the file it is in."""

    line: int
    script: str
    text: tuple[int, int] | None
    file: str | None


def steps(page: str) -> Iterator[Step]:
    blocks = list(_BLOCK.finditer(page))
    for number, block in enumerate(blocks):
        if block["language"] != "sh":
            continue
        later = [other for other in blocks[number + 1 :] if other["language"] == "sh"]
        until = later[0].start() if later else len(page)
        text = next(
            (o for o in blocks[number + 1 :] if o["language"] == "text" and o.start() < until), None
        )
        linked = _EXPECTED.search(page, block.end(), until)
        yield Step(
            line=page.count("\n", 0, block.start()) + 2,
            script=block["body"],
            text=text.span("body") if text else None,
            file=linked["path"] if linked and not text else None,
        )


class Server(NamedTuple):
    """What a page starts: it listens on ``port`` in what is printed there, and on a free one in
    each run of the page, for several may run. ``ends`` is run last, however the page ends."""

    port: str
    ends: str


SERVERS = {
    "secrets": Server("10587", "test ! -e provider/pid || python3 provider.py stop"),
    "postgresql": Server("10543", "test ! -e server.directory || sh server.sh remove"),
    "git-loop": Server("10464", "test ! -e loop.pid || kill -9 $(cat loop.pid)"),
}


class Desk:
    """A temporary folder in which steps run, with ``sendroute`` on the path and no setting of the
    person who runs the tests."""

    port: tuple[str, str] | None = None
    """The page's port, and what it was given instead."""
    name = "sendroute"
    """What the folder is called in a transcript, below /tmp as the pages have it."""

    def __init__(self, room: Path) -> None:
        self.room = room
        self.scratch = room / "scratch"
        self.bin = room / "bin"
        for folder in (self.scratch, self.bin, room / "home"):
            folder.mkdir()
        self.program(
            "sendroute",
            f'PYTHONPATH="{ROOT / "operator"}" exec "{sys.executable}" -m sendroute "$@"',
        )
        self.program("python3", f'exec "{sys.executable}" "$@"')
        self.program("sops", SOPS)
        self.environment = {
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(room / "home"),
            "TMPDIR": str(self.scratch),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "SENDROUTE_ACTOR": "jane",
            "PYTHONDONTWRITEBYTECODE": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CEILING_DIRECTORIES": str(room),
            **{
                f"GIT_{who}_{what}": "jane" for who in ("AUTHOR", "COMMITTER") for what in ("NAME",)
            },
            **{f"GIT_{who}_EMAIL": "jane@example.com" for who in ("AUTHOR", "COMMITTER")},
            # So that a commit of the same content has the same name in every run.
            **{f"GIT_{who}_DATE": "2026-11-01T12:00:00Z" for who in ("AUTHOR", "COMMITTER")},
        }

    def program(self, name: str, script: str) -> None:
        """A program of this name comes first on the path."""
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def run(
        self, script: str, folder: Path, *shell: str, **more: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*(shell or ("sh", "-e")), "-c", script],
            cwd=folder,
            env=self.environment | more,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )

    def transcript(self, script: str, folder: Path) -> str:
        """What a step prints, with what varies named, and its exit status where it is not 0."""
        if self.port is not None:
            script = script.replace(*self.port)
        done = self.run(script, folder)
        self.environment |= {said["name"]: said["value"] for said in _EXPORT.finditer(script)}
        said = done.stdout.replace(str(folder), _called(self.name))
        if self.port is not None:
            said = said.replace(*reversed(self.port))
        made_by_mktemp = re.escape(str(self.scratch / "tmp.")) + r"\w+"
        said = re.sub(made_by_mktemp, _called("demo"), said)
        for pattern, fixed in _VARYING:
            said = pattern.sub(fixed, said)
        said = "".join(f"{line.rstrip()}\n" for line in said.splitlines())
        return said + (f"(exit status {done.returncode})\n" if done.returncode else "")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def walk(desk: Desk, request: pytest.FixtureRequest) -> Callable[[Path], None]:
    """Runs every step of a page in a copy of its folder, and compares what they print."""
    rewrite = bool(request.config.getoption("--rewrite-cases"))

    def through(page: Path) -> None:
        copy = desk.room / "copy"
        if page.parent == ROOT:
            shutil.copytree(ROOT / "examples", copy / "examples")
        else:
            shutil.copytree(page.parent, copy)
        desk.name = page.parent.name
        text = page.read_text()
        with _port_of_its_own(desk, copy):
            said = {step: desk.transcript(step.script, copy) for step in steps(text)}
        assert "Traceback" not in "".join(said.values())
        if rewrite:
            _rewrite(page, text, said)
        for step, actual in said.items():
            expected = _expected(page, text, step)
            if not rewrite and actual != expected:
                shown = difflib.unified_diff(
                    expected.splitlines(), actual.splitlines(), "expected", "printed", lineterm=""
                )
                pytest.fail(f"{page.relative_to(ROOT)}:{step.line}\n" + "\n".join(shown), False)
        assert not list(desk.scratch.iterdir()), "a step left something behind"

    return through


@contextmanager
def _port_of_its_own(desk: Desk, folder: Path) -> Iterator[None]:
    """Where the page starts a server; which is ended, however the page ends."""
    server = SERVERS.get(desk.name)
    if server is None:
        yield
        return
    desk.port = server.port, _free_port()
    for path in folder.rglob("*"):
        if path.suffix in (".py", ".sh", ".yaml"):
            path.write_text(path.read_text().replace(*desk.port))
    try:
        yield
    finally:
        desk.run(server.ends, folder)


def _free_port() -> str:
    """Of five digits, below those that the system gives to clients."""
    for port in random.SystemRandom().sample(range(10000, 30000), 50):
        with socket.socket() as tried, suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return str(port)
    raise AssertionError("no port is free")


def _expected(page: Path, text: str, step: Step) -> str:
    if step.text is not None:
        return text[slice(*step.text)]
    if step.file is not None:
        path = page.parent / step.file
        return path.read_text() if path.exists() else ""
    return ""


def _rewrite(page: Path, text: str, said: dict[Step, str]) -> None:
    for step, actual in reversed(said.items()):
        if step.text is not None:
            start, end = step.text
            text = text[:start] + actual + text[end:]
        elif step.file is not None:
            path = page.parent / step.file
            path.parent.mkdir(exist_ok=True)
            path.write_text(actual)
        else:
            assert not actual, f"{page}:{step.line} prints, but the page names no place for it"
    page.write_text(text)
