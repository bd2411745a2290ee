"""Runs Markdown pages: the shell blocks of a page are its steps, and their output is compared.

A step is a fenced block of language ``sh``. Its expected output (standard output, standard error
and exit status) is in the ``text`` block that follows on the page, or else in the first file of
``expected/`` that the page links to before its next step. A step with neither must print nothing.
A ``console`` block is not run.
"""

import difflib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.private_server import free_port

ROOT = Path(__file__).parents[2]

_BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
# Exported variables remain set for the later steps of a page, as in a terminal.
_EXPORT = re.compile(r"^export (?P<name>\w+)=(?P<value>\S+)$", re.MULTILINE)
_EXPECTED = re.compile(r"\]\((?P<path>expected/[^)]+)\)")

# Output that differs between runs, and its replacement: of the same length, to keep tables aligned.
_VARYING = (
    (re.compile(r"\b\d\.\d s\b"), "0.1 s"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "2026-11-01T12:00:00Z"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\dZ"), "2026-11-01 12:00Z"),
    (
        re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"),
        "5e4d0c7a-1f2b-4c3d-8e9f-0a1b2c3d4e5f",
    ),
)


def _shown_path(name: str) -> str:
    """The path that the pages show for a temporary directory; it does not exist."""
    return f"/tmp/{name}"  # noqa: S108


@dataclass(frozen=True)
class Step:
    """``text`` is the span of the expected output in the page, ``file`` the file that holds it."""

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
    """A server that a page starts. The page shows ``port``; each run uses a free port, because
    several may run at once. ``stop_command`` is always run at the end."""

    port: str
    stop_command: str


SERVERS = {
    "secrets": Server("10587", "test ! -e provider/pid || python3 provider.py stop"),
    "postgresql": Server("10543", "test ! -e server.directory || sh server.sh remove"),
    "git-loop": Server("10464", "test ! -e loop.pid || kill -9 $(cat loop.pid)"),
}


class Sandbox:
    """A temporary directory in which steps run, with ``sendroute`` on the path and without the
    settings of the user who runs the tests."""

    port: tuple[str, str] | None = None
    """The port that the page shows, and the port that is used instead."""
    name = "sendroute"
    """The name of the directory in a transcript, below /tmp as the pages show it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.scratch = root / "scratch"
        self.bin = root / "bin"
        for directory in (self.scratch, self.bin, root / "home"):
            directory.mkdir()
        self.program(
            "sendroute",
            f'PYTHONPATH="{ROOT / "operator"}" exec "{sys.executable}" -m sendroute "$@"',
        )
        self.program("python3", f'exec "{sys.executable}" "$@"')
        self.environment = {
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(root / "home"),
            "TMPDIR": str(self.scratch),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "SENDROUTE_ACTOR": "jane",
            "PYTHONDONTWRITEBYTECODE": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CEILING_DIRECTORIES": str(root),
            **{
                f"GIT_{role}_{field}": "jane"
                for role in ("AUTHOR", "COMMITTER")
                for field in ("NAME",)
            },
            **{f"GIT_{role}_EMAIL": "jane@example.com" for role in ("AUTHOR", "COMMITTER")},
            # So that a commit of the same content has the same id in every run.
            **{f"GIT_{role}_DATE": "2026-11-01T12:00:00Z" for role in ("AUTHOR", "COMMITTER")},
        }

    def program(self, name: str, script: str) -> None:
        """Install a program with this name first on the path."""
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def run(
        self, script: str, directory: Path, *shell: str, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*(shell or ("sh", "-e")), "-c", script],
            cwd=directory,
            env=self.environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )

    def transcript(self, script: str, directory: Path) -> str:
        """The normalised output of a step, with its exit status if that is not 0."""
        if self.port is not None:
            script = script.replace(*self.port)
        completed = self.run(script, directory)
        self.environment |= {
            printed["name"]: printed["value"] for printed in _EXPORT.finditer(script)
        }
        printed = completed.stdout.replace(str(directory), _shown_path(self.name))
        if self.port is not None:
            printed = printed.replace(*reversed(self.port))
        mktemp_path = re.escape(str(self.scratch / "tmp.")) + r"\w+"
        printed = re.sub(mktemp_path, _shown_path("demo"), printed)
        for pattern, fixed in _VARYING:
            printed = pattern.sub(fixed, printed)
        printed = "".join(f"{line.rstrip()}\n" for line in printed.splitlines())
        return printed + (f"(exit status {completed.returncode})\n" if completed.returncode else "")


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path)


@pytest.fixture
def run_page(sandbox: Sandbox, request: pytest.FixtureRequest) -> Callable[[Path], None]:
    """Runs every step of a page in a copy of its directory, and compares the output."""
    rewrite = bool(request.config.getoption("--rewrite-cases"))

    def run_all_steps(page: Path) -> None:
        copy = sandbox.root / "copy"
        if page.parent == ROOT:
            shutil.copytree(ROOT / "examples", copy / "examples")
        else:
            shutil.copytree(page.parent, copy)
        sandbox.name = page.parent.name
        text = page.read_text()
        with _free_server_port(sandbox, copy):
            printed = {step: sandbox.transcript(step.script, copy) for step in steps(text)}
        assert "Traceback" not in "".join(printed.values())
        if rewrite:
            _rewrite(page, text, printed)
        for step, actual in printed.items():
            expected = _expected(page, text, step)
            if not rewrite and actual != expected:
                shown = difflib.unified_diff(
                    expected.splitlines(), actual.splitlines(), "expected", "printed", lineterm=""
                )
                pytest.fail(f"{page.relative_to(ROOT)}:{step.line}\n" + "\n".join(shown), False)
        assert not list(sandbox.scratch.iterdir()), "a step left something behind"

    return run_all_steps


@contextmanager
def _free_server_port(sandbox: Sandbox, directory: Path) -> Iterator[None]:
    """Use a free port if the page starts a server, and always stop that server at the end."""
    server = SERVERS.get(sandbox.name)
    if server is None:
        yield
        return
    sandbox.port = server.port, str(free_port())
    for path in directory.rglob("*"):
        if path.suffix in (".py", ".sh", ".yaml"):
            path.write_text(path.read_text().replace(*sandbox.port))
    try:
        yield
    finally:
        sandbox.run(server.stop_command, directory)


def _expected(page: Path, text: str, step: Step) -> str:
    if step.text is not None:
        return text[slice(*step.text)]
    if step.file is not None:
        path = page.parent / step.file
        return path.read_text() if path.exists() else ""
    return ""


def _rewrite(page: Path, text: str, printed: dict[Step, str]) -> None:
    for step, actual in reversed(printed.items()):
        if step.text is not None:
            start, end = step.text
            text = text[:start] + actual + text[end:]
        elif step.file is not None:
            path = page.parent / step.file
            path.parent.mkdir(exist_ok=True)
            path.write_text(actual)
        else:
            assert not actual, f"{page}:{step.line} prints, but the page specifies no file for it"
    page.write_text(text)
