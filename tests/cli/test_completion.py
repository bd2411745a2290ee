"""Completion scripts: each shell reads them, and bash completes what the program accepts."""

import os
import pty
import select
import shutil
import subprocess
from contextlib import suppress
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


# Each shell writes the line as it is when Control-X is pressed, and ends.
AT_A_TERMINAL = {
    "bash": (
        ["bash", "--norc", "--noprofile", "-i"],
        "{breaks} source {script}\n"
        'dump() {{ printf %s "$READLINE_LINE" > {line}; exit; }}; bind -x \'"\\C-x": dump\'\n',
    ),
    "zsh": (
        ["zsh", "-f", "-i"],
        "fpath=({script}.d $fpath); autoload -Uz compinit; compinit -D -u\n"
        "dump() {{ print -rn -- $BUFFER > {line}; exit; }}; zle -N dump; bindkey '^X' dump\n",
    ),
}
UNIQUE = {
    "a global option after the command": ("plan --sto", "plan --store"),
    "a global option after an edit": ("edit set-route x --log-f", "edit set-route x --log-format"),
    "a value after an equals sign": (
        "edit add-profile x --provider=sendg",
        "edit add-profile x --provider=sendgrid",
    ),
    "a value of a global option": ("plan --log-format=js", "plan --log-format=json"),
    "an option after a value with an equals sign": (
        "edit add-profile --provider=ses x --encr",
        "edit add-profile --provider=ses x --encryption",
    ),
    "a path after a value with an equals sign": (
        "plan --log-format=json our-man",
        "plan --log-format=json our-manifests",
    ),
    "a path in a value": ("plan --key-file=our-k", "plan --key-file=our-key"),
    "a directory in a value": ("plan --secrets=our-m", "plan --secrets=our-manifests"),
    "a second path": ("plan our-manifests our-k", "plan our-manifests our-key"),
    "a second path after a name": (
        "edit set-route x our-manifests our-k",
        "edit set-route x our-manifests our-key",
    ),
    "an option after two paths": ("plan a b --max-ch", "plan a b --max-change-percent"),
    "a path after an option and a path": (
        "validate our-key --policy x our-m",
        "validate our-key --policy x our-manifests",
    ),
    "a task": ("relay f", "relay forget"),
    "an edit": ("edit set-r", "edit set-route"),
}


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


def at_a_terminal(shell: str, script: str, line: str, directory: Path, breaks: str = "") -> str:
    """The line that a shell has after the Tab key was pressed at the end of ``line``."""
    path, result = directory / "script", directory / "line"
    path.write_text(script)
    (directory / "script.d").mkdir(exist_ok=True)
    (directory / "script.d" / "_sendroute").write_text(script)
    command, setup = AT_A_TERMINAL[shell]
    typed = setup.format(script=path, line=result, breaks=breaks) + f"sendroute {line}\t\x18"
    terminal, streams = pty.openpty()
    with subprocess.Popen(
        command,
        stdin=streams,
        stdout=streams,
        stderr=streams,
        cwd=directory,
        env={"PATH": os.environ["PATH"], "HOME": str(directory), "TERM": "dumb"},
        start_new_session=True,
    ) as process:
        os.close(streams)
        os.write(terminal, typed.encode())
        with suppress(OSError):  # the shell has ended
            while select.select([terminal], [], [], 30)[0] and os.read(terminal, 65536):
                pass
        process.kill()
    os.close(terminal)
    return result.read_text().removeprefix("sendroute ").rstrip(" /=")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
@pytest.mark.parametrize(("typed", "expected"), UNIQUE.values(), ids=UNIQUE.keys())
def test_the_tab_key_completes_a_line(
    shell: str, typed: str, expected: str, sendroute: Program, workdir: Path
) -> None:
    require(shell)
    (workdir / "our-manifests").mkdir()
    (workdir / "our-key").touch()
    script = sendroute("completion", shell).out
    assert at_a_terminal(shell, script, typed, workdir) == expected


def test_bash_completes_a_value_if_an_equals_sign_breaks_no_word(
    sendroute: Program, workdir: Path
) -> None:
    script, breaks = sendroute("completion", "bash").out, "COMP_WORDBREAKS=${COMP_WORDBREAKS//=};"
    for typed, expected in UNIQUE.values():
        if "=" in typed and "our-" not in typed:
            assert at_a_terminal("bash", script, typed, workdir, breaks) == expected


@pytest.mark.parametrize(("typed", "expected"), UNIQUE.values(), ids=UNIQUE.keys())
def test_fish_completes_a_line(
    typed: str, expected: str, sendroute: Program, workdir: Path
) -> None:
    require("fish")
    (workdir / "our-manifests").mkdir()
    (workdir / "our-key").touch()
    path = workdir / "sendroute.fish"
    path.write_text(sendroute("completion", "fish").out)
    ask = f"source {path}; complete --do-complete 'sendroute {typed}'"
    ran = subprocess.run(
        ["fish", "--no-config", "-c", ask],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        cwd=workdir,
        env={"PATH": os.environ["PATH"], "HOME": str(workdir)},
    )
    assert {line.split("\t")[0].rstrip("/=") for line in ran.stdout.splitlines()} == {
        expected.split()[-1]
    }


def require(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_reads_its_script(shell: str, sendroute: Program, workdir: Path) -> None:
    ran = sendroute("completion", shell)
    assert (ran.status, ran.err) == (0, "")
    assert all(name in ran.out for name in [*COMMANDS, *EDITS])
    require(shell)
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
