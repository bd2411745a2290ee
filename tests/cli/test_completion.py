"""Completion scripts: each shell reads them, and bash completes what the program accepts."""

import shutil
import subprocess
from pathlib import Path

import pytest

from sendroute.cli.commands import COMMANDS, completion
from sendroute.cli.commands.edit import COMMANDS as EDITS

from .conftest import Program

# Sets what bash sets before it calls a completion function (bash(1), Programmable Completion).
COMPLETE = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); COMP_TYPE=9; COMPREPLY=()
"$(complete -p sendroute | sed 's/.*-F \\([^ ]*\\).*/\\1/')"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def script(sendroute: Program, workdir: Path) -> Path:
    path = workdir / "completion.bash"
    path.write_text(sendroute("completion", "bash").out)
    return path


def completed(script: Path, *words: str) -> set[str]:
    command = ["bash", "-c", COMPLETE, "bash", str(script), "sendroute", *words]
    ran = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=30, cwd=script.parent
    )
    return set(ran.stdout.split())


def test_bash_completes_every_command_and_every_edit(script: Path) -> None:
    assert completed(script, "") >= COMMANDS.keys()
    assert completed(script, "edit", "") >= EDITS.keys()


def test_bash_completes_options_values_and_paths(script: Path) -> None:
    (script.parent / "manifests").mkdir()
    assert completed(script, "plan", "--max-") == {"--max-change-percent", "--max-remove-percent"}
    assert completed(script, "edit", "set-r") == {"set-route"}
    assert completed(script, "schema", "--dr") == {"--draft"}
    assert completed(script, "completion", "f") == {"fish"}
    assert completed(script, "edit", "add-profile", "x", "--encryption", "st") == {"starttls"}
    assert completed(script, "edit", "add-profile", "x", "--provider", "mailg") == {"mailgun"}
    assert completed(script, "routes", "--origin", "app") == {"apply-all"}
    assert completed(script, "--log-format", "") == {"text", "json"}
    assert completed(script, "validate", "x", "-o", "sar") == {"sarif"}
    assert completed(script, "schema", "MailA") == {"MailAccount"}
    assert completed(script, "validate", "man") == {"manifests"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_reads_its_script(shell: str, sendroute: Program, workdir: Path) -> None:
    ran = sendroute("completion", shell)
    assert (ran.status, ran.err) == (0, "")
    assert all(name in ran.out for name in [*COMMANDS, *EDITS])
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    path = workdir / "script"
    path.write_text(ran.out)
    subprocess.run([shell, "-n", str(path)], check=True, timeout=30)


def test_another_shell_is_wrong_usage(sendroute: Program) -> None:
    ran = sendroute("completion", "tcsh")
    assert (ran.status, ran.out) == (64, "")
    assert "bash, zsh, fish" in ran.err


def test_the_help_creates_each_directory_that_it_writes_to() -> None:
    lines = [line.strip() for line in (completion.__doc__ or "").splitlines()]
    created = {line.removeprefix("mkdir -p ") for line in lines if line.startswith("mkdir ")}
    written = [line.partition("> ")[2].split()[0] for line in lines if "> " in line]
    assert len(written) == 3
    assert {str(Path(file).parent) for file in written} == created
