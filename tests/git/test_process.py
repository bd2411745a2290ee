"""git, the programs of Postfix and those of a kubeconfig are started by one module each, in a
defined environment."""

import ast
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import cast, get_args

import pytest

from sendroute.git.failures import (
    NO_SSH_KEYGEN,
    NOT_INSTALLED,
    TOO_LONG_OUTPUT,
    TOO_MANY_BYTES,
    TOO_MUCH_MEMORY,
    GitFailedError,
)
from sendroute.git.process import Git, ProcessLimits, StoppedError, output
from sendroute.model.problem import ProblemError
from sendroute.postfix.installed import Postfix, Program

PACKAGE = Path(__file__).parents[2] / "operator/sendroute"
STARTING_MODULES = {
    "subprocess",
    "asyncio.subprocess",
    "multiprocessing",
    "pty",
    "sh",
    "_posixsubprocess",
}
STARTING_FUNCTIONS = (
    "spawn",
    "exec",
    "popen",
    "posix_spawn",
    "system",
    "startfile",
    "create_subprocess",
)


def never() -> bool:
    return False


def starts_programs(source: str) -> bool:
    """Whether a module can start another program."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            names.add(f"{node.value.id}.{node.attr}")
    functions = {
        name
        for name in names
        if name.startswith(("os.", "asyncio."))
        and name.partition(".")[2].startswith(STARTING_FUNCTIONS)
    }
    return bool(functions or names & STARTING_MODULES)


def test_one_module_each_starts_git_and_the_programs_of_postfix_and_of_a_kubeconfig() -> None:
    modules = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if starts_programs(path.read_text())
    }
    assert modules == {"cluster/credential_plugins.py", "git/process.py", "postfix/installed.py"}
    assert set(get_args(Program)) == {"postconf", "postfix", "postmap", "postqueue"}


def test_only_programs_of_postfix_are_started_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "started"
    git = tmp_path / "git"
    git.write_text(f'#!/bin/sh\ntouch "{started}"\n')
    git.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(ValueError, match="git is no program of Postfix"):
        Postfix(None).run(cast(Program, "git"))
    assert not started.exists()


@pytest.mark.parametrize(
    "source",
    [
        "import subprocess",
        "from subprocess import run",
        "import os\nos.popen",
        "import os\nos.system('git')",
        "from os import execvp",
        "import os\nos.posix_spawn",
        "import asyncio\nasyncio.create_subprocess_exec",
    ],
)
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
    monkeypatch.setenv("PATH", f"{program.parent}:.::bin:{os.environ['PATH']}")
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "GIT_DIR": "/elsewhere",
        "GIT_TRACE": "1",
        "GIT_EXTERNAL_DIFF": "/bin/program",
        "GIT_CONFIG_COUNT": "0",
        "GIT_SSH_COMMAND": "ssh -i key",
        "SENDROUTE_KEY": "secret",
        "SENDROUTE_STORE": "postgresql://u:secret@h/d",
        "PGPASSWORD": "secret",
        "SSH_AUTH_SOCK": "/agent",
        "GIT_TOKEN_OF_CI": "secret",
        "TOKEN_OF_CI": "for a credential helper",
    }.items():
        monkeypatch.setenv(name, value)
    return written


def variables_in(written: Path) -> dict[str, str]:
    lines = (line.partition("=") for line in written.read_text().splitlines())
    # The shell that runs the program adds these.
    return {name: value for name, _, value in lines if name not in ("PWD", "OLDPWD", "SHLVL", "_")}


def test_reading_a_repository_passes_no_secret_and_allows_no_transport(
    environment_of_git: Path, tmp_path: Path
) -> None:
    arguments = output(["status"], str(tmp_path)).decode()
    variables = variables_in(environment_of_git)
    assert variables.keys() <= {
        *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "XDG_CONFIG_HOME", "SUDO_UID"),
        *("LC_ALL", "LANGUAGE", "GIT_CONFIG_COUNT", "GIT_TERMINAL_PROMPT"),
        *("GIT_NO_REPLACE_OBJECTS", "GIT_NO_LAZY_FETCH", "GIT_ALLOW_PROTOCOL"),
    }
    assert variables["GIT_ALLOW_PROTOCOL"] == ""
    assert variables["GIT_NO_LAZY_FETCH"] == "1"
    assert variables["LC_ALL"] == "C"
    assert all(directory.startswith("/") for directory in variables["PATH"].split(":"))
    for setting in ("safe.bareRepository=explicit", "core.hooksPath=/dev/null"):
        assert f"-c {setting}" in arguments
    assert "-c core.fsmonitor=false" in arguments
    assert arguments.endswith(f"--no-optional-locks -C {tmp_path} status\n")


def test_talking_to_a_server_passes_what_ssh_and_credential_helpers_need_and_nothing_of_ours(
    environment_of_git: Path, tmp_path: Path
) -> None:
    Git(str(tmp_path), 30, ("ssh",)).run(["fetch"], never)
    variables = variables_in(environment_of_git)
    assert variables["SSH_AUTH_SOCK"] == "/agent"
    assert variables["GIT_SSH_COMMAND"] == "ssh -i key"
    assert variables["TOKEN_OF_CI"] == "for a credential helper"
    assert variables["GIT_ALLOW_PROTOCOL"] == "ssh"
    assert not {name for name in variables if name.startswith(("SENDROUTE_", "PG"))}
    assert variables.keys().isdisjoint({"GIT_DIR", "GIT_TRACE", "GIT_EXTERNAL_DIFF"})
    assert "secret" not in environment_of_git.read_text()


def test_the_own_repository_has_no_user_configuration(
    environment_of_git: Path, tmp_path: Path
) -> None:
    Git(str(tmp_path), 30, ("ssh",)).local(["gc"], never)
    variables = variables_in(environment_of_git)
    assert variables["GIT_CONFIG_GLOBAL"] == variables["GIT_CONFIG_SYSTEM"] == "/dev/null"
    assert "SSH_AUTH_SOCK" not in variables
    assert "secret" not in environment_of_git.read_text()


def test_a_missing_program_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    git = Git(str(tmp_path), 30, ())
    for call, cause in (
        (lambda: output(["status"], str(tmp_path)), NOT_INSTALLED),
        (lambda: git.run(["status"], never), NOT_INSTALLED),
        (lambda: git.ssh_keygen(["-Y", "verify"], never), NO_SSH_KEYGEN),
    ):
        with pytest.raises(GitFailedError) as caught:
            call()
        assert caught.value.cause is cause


@pytest.mark.parametrize("path", ["", ".", ":", "bin:.:"])
def test_no_program_of_the_working_directory_is_run(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "started"
    for directory in (tmp_path, tmp_path / "bin"):
        directory.mkdir(exist_ok=True)
        for name in ("git", "ssh-keygen", *get_args(Program)):
            (directory / name).write_text(f'#!/bin/sh\ntouch "{started}"\n')
            (directory / name).chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", path)
    git = Git(str(tmp_path), 30, (), ProcessLimits(file_size=1 << 20))
    for call in (
        lambda: output(["--version"], str(tmp_path)),
        lambda: git.run(["--version"], never),
        lambda: git.local(["--version"], never),
        lambda: git.ssh_keygen(["-Y", "verify"], never),
        lambda: Postfix(None).run("postconf", "-m"),
    ):
        with suppress(GitFailedError, ProblemError):
            call()
    assert not started.exists()
    assert output(["--version"], str(tmp_path)).startswith(b"git version")


def test_a_program_of_postfix_gets_no_secret_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "postconf").write_text("#!/bin/sh\nenv\n")
    (tmp_path / "postconf").chmod(0o755)
    monkeypatch.setenv("PATH", f".:{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("MAIL_CONFIG", "/etc/postfix")
    for name in ("SENDROUTE_KEY", "SENDROUTE_SECRET_ACME__SES__PASSWORD", "PGPASSWORD"):
        monkeypatch.setenv(name, "value-of-ours")
    printed = Postfix(None).run("postconf")
    assert "value-of-ours" not in printed
    variables = dict(line.split("=", 1) for line in printed.splitlines())
    assert variables["MAIL_CONFIG"] == "/etc/postfix"
    assert all(directory.startswith("/") for directory in variables["PATH"].split(":"))


def test_a_program_of_postfix_that_cannot_be_run_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "postconf").write_text("#!/nowhere/sh\n")
    (tmp_path / "postconf").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProblemError, match="postconf cannot be run: no such file") as caught:
        Postfix(None).run("postconf")
    assert caught.value.findings[0].code == "postfix-failed"


@pytest.fixture
def bare_repository(tmp_path: Path) -> Path:
    Git(str(tmp_path), 30, ()).local(["init", "-q", "--bare", "own"], never)
    return tmp_path / "own"


def test_lines_are_yielded_while_git_runs_and_git_ends_with_the_iterator(
    bare_repository: Path,
) -> None:
    git = Git(str(bare_repository), 30, ())
    endless = ["-c", "alias.endless=!while :; do printf 'x\\0y\\0'; done", "endless"]
    lines = git.lines(endless, never)
    assert [next(lines), next(lines)] == [b"x", b"y"]
    lines.close()
    with pytest.raises(StoppedError):
        list(git.lines(endless, lambda: True))
    with pytest.raises(GitFailedError) as caught:
        list(Git(str(bare_repository), 0.3, ()).lines(endless, never))
    assert caught.value.is_of_the_call


def test_a_process_may_use_only_so_much_memory(bare_repository: Path, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(64 << 20))
    git = Git(str(bare_repository), 30, ())
    own_git = f"--git-dir={bare_repository}"
    tag = ("hash-object", "-t", "tag", "--literally", "-w")  # git does not stream a tag
    written = git.local([own_git, *tag, str(tmp_path / "big")], never)
    arguments = [own_git, "cat-file", "tag", written.decode().strip()]
    assert len(git.local(arguments, never, max_output=128 << 20)) == 64 << 20
    with pytest.raises(GitFailedError) as caught:
        Git(str(bare_repository), 30, (), ProcessLimits(memory=16 << 20)).local(arguments, never)
    assert caught.value.cause == TOO_MUCH_MEMORY


def test_a_process_may_write_only_so_large_files(bare_repository: Path) -> None:
    (bare_repository / "big").write_bytes(os.urandom(1 << 20))
    arguments = [f"--git-dir={bare_repository}", "hash-object", "-w", str(bare_repository / "big")]
    with pytest.raises(GitFailedError) as caught:
        Git(str(bare_repository), 30, (), ProcessLimits(file_size=1 << 16)).local(arguments, never)
    assert caught.value.cause == TOO_MANY_BYTES
    Git(str(bare_repository), 30, ()).local(arguments, never)


def test_git_may_print_only_so_much(bare_repository: Path) -> None:
    (bare_repository / "big").write_bytes(b"x" * (3 << 20))
    arguments = [f"--git-dir={bare_repository}", "hash-object", "-w", str(bare_repository / "big")]
    git = Git(str(bare_repository), 30, ())
    blob = git.local(arguments, never).decode().strip()
    arguments = [f"--git-dir={bare_repository}", "cat-file", "blob", blob]
    with pytest.raises(GitFailedError) as caught:
        git.local(arguments, never)
    assert caught.value.cause == TOO_LONG_OUTPUT
    with pytest.raises(GitFailedError) as caught:
        git.run(arguments, never)
    assert caught.value.cause == TOO_LONG_OUTPUT
    assert len(git.local(arguments, never, max_output=4 << 20)) == 3 << 20
