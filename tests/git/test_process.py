"""git is started only by one package and in a defined environment."""

import ast
import os
import stat
from pathlib import Path

import pytest

from sendroute.git.process import output

PACKAGE = Path(__file__).parents[2] / "operator/sendroute"


def starts_programs(source: str) -> bool:
    """Whether a module can start another program."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
        elif isinstance(node, ast.Attribute):
            names.add(f"os.{node.attr}" if node.attr.startswith(("spawn", "exec", "popen")) else "")
    started = {"os.execv", "os.execve", "os.execvp", "os.spawnv", "os.spawnvp", "os.popen"}
    return bool(names & ({"subprocess", "asyncio.subprocess", "pty"} | started))


def test_no_other_package_starts_git() -> None:
    packages = {
        path.relative_to(PACKAGE).parts[0]
        for path in PACKAGE.rglob("*.py")
        if starts_programs(path.read_text())
    }
    assert packages == {"git"}


@pytest.mark.parametrize("source", ["import subprocess", "from subprocess import run", "os.popen"])
def test_a_module_that_starts_programs_is_detected(source: str) -> None:
    assert starts_programs(source)


@pytest.fixture
def environment_of_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git on the PATH that writes its environment and arguments into this file."""
    written = tmp_path / "environment"
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nenv > "{written}"\necho "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return written


def test_reading_a_working_tree_runs_no_hooks_asks_nothing_and_takes_no_lock(
    environment_of_git: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    monkeypatch.setenv("GIT_TRACE", "1")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "0")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", "/srv")
    arguments = (output(["status"], str(tmp_path)) or b"").decode()
    variables = environment_of_git.read_text().splitlines()
    git_variables = {line for line in variables if line.startswith("GIT_")}
    assert git_variables == {
        "GIT_CONFIG_COUNT=0",
        "GIT_CEILING_DIRECTORIES=/srv",
        "GIT_TERMINAL_PROMPT=0",
        "GIT_NO_REPLACE_OBJECTS=1",
    }
    assert "LC_ALL=C" in variables
    assert "-c core.hooksPath=/dev/null -c core.fsmonitor=false" in arguments
    assert arguments.endswith(f"--no-optional-locks -C {tmp_path} status\n")


def test_without_git_there_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert output(["status"], str(tmp_path)) is None
